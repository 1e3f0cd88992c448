import { describe, expect, it } from 'vitest'

import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, LATER, newLease, newUpload, NOW, PLENTY, putParts } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const ALICE = { clientId: 'alice', ownerHash: null }
const BOB = { clientId: 'bob', ownerHash: null }

export function leasesContract(records: Records): void {
  describe('leases', () => {
    const forward = (from: string, lease: Parameters<typeof newLease>[0] = { clientId: 'bob' }) =>
      records().addLease({ fromMediaId: from, lease: newLease(lease), caps: PLENTY, idempotency: null })

    it('forwarded share the bytes, and have their own id, owner and end', async () => {
      const media = await completeMedia(records(), 100)
      const forwarded = await forward(media.mediaId, { clientId: 'bob', ownerHash: 'cd', expiresAt: LATER + 9 })
      expect(forwarded).toMatchObject({ clientId: 'bob', ownerHash: 'cd', expiresAt: LATER + 9, sizeBytes: 100 })
      expect(forwarded.mediaId).not.toBe(media.mediaId)
      expect(forwarded.blobId).toBe(media.blobId)
      await records().endLease(media.mediaId, ALICE, NOW)
      expect(await records().findMedia(forwarded.mediaId)).toMatchObject({ endedAt: null })
      expect(await records().listTombstones(10)).toEqual([])
      await records().endLease(forwarded.mediaId, BOB, NOW)
      expect(await records().listTombstones(10)).toEqual([{ blobId: media.blobId }])
    })

    it('charge each client once for the same bytes', async () => {
      const media = await completeMedia(records(), 100)
      const forwarded = [
        await forward(media.mediaId),
        await forward(media.mediaId),
        await forward(media.mediaId, { clientId: 'alice' }),
      ]
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 100 })
      expect(await records().usage('bob')).toMatchObject({ storedBytes: 100 })
      await records().endLease(media.mediaId, ALICE, NOW)
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 100 })
      for (const { mediaId, clientId } of forwarded)
        await records().endLease(mediaId, { clientId, ownerHash: null }, NOW)
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 0 })
      expect(await records().usage('bob')).toMatchObject({ storedBytes: 0 })
    })

    it('are refused when the quota has no room, unless the client holds the bytes already', async () => {
      const media = await completeMedia(records(), 100)
      const full = { ...PLENTY, storedBytes: 99 }
      await expect(
        records().addLease({
          fromMediaId: media.mediaId,
          lease: newLease({ clientId: 'bob' }),
          caps: full,
          idempotency: null,
        }),
      ).rejects.toMatchObject({
        code: 'quota_exceeded',
      })
      expect(await records().usage('bob')).toMatchObject({ storedBytes: 0 })
      await records().addLease({
        fromMediaId: media.mediaId,
        lease: newLease({ clientId: 'alice' }),
        caps: full,
        idempotency: null,
      })
    })

    it('come from a living, complete media only', async () => {
      await expect(forward(freshId())).rejects.toMatchObject({ code: 'not_found' })
      const uploading = await records().beginUpload(newUpload())
      await expect(forward(uploading.mediaId)).rejects.toMatchObject({ code: 'upload_in_progress' })
      const ended = await completeMedia(records(), 10)
      await records().endLease(ended.mediaId, ALICE, NOW)
      await expect(forward(ended.mediaId)).rejects.toMatchObject({ code: 'gone' })
      const expired = await completeMedia(records(), 10, { lease: { expiresAt: NOW } })
      await expect(forward(expired.mediaId)).rejects.toMatchObject({ code: 'gone' })
      const usedUp = await completeMedia(records(), 10, { lease: { maxDownloads: 1 } })
      await records().takeDownload(usedUp.mediaId, { grantId: 'g', expiresAt: LATER }, NOW)
      await expect(forward(usedUp.mediaId)).rejects.toMatchObject({ code: 'downloads_exhausted' })
    })

    it('made with the same idempotency key are one', async () => {
      const media = await completeMedia(records(), 10)
      const key = { clientId: 'bob', key: 'k', fingerprint: 'f', expiresAt: LATER }
      const add = (fingerprint: string) =>
        records().addLease({
          fromMediaId: media.mediaId,
          lease: newLease({ clientId: 'bob' }),
          caps: PLENTY,
          idempotency: { ...key, fingerprint },
        })
      const [first, second] = await Promise.all([add('f'), add('f')])
      expect(second).toEqual(first)
      await expect(add('g')).rejects.toMatchObject({ code: 'idempotency_conflict' })
    })

    describe('are ended', () => {
      it('by the client that made them, or by the holder of the owner secret, and by no other client', async () => {
        const mine = await completeMedia(records(), 10, { lease: { ownerHash: 'ab' } })
        const strangers = [
          BOB,
          { clientId: null, ownerHash: null },
          { clientId: 'bob', ownerHash: 'ac' },
          { clientId: null, ownerHash: 'abab' },
        ]
        for (const claim of strangers) {
          await expect(records().endLease(mine.mediaId, claim, NOW)).rejects.toMatchObject({ code: 'not_found' })
        }
        await records().endLease(mine.mediaId, { clientId: null, ownerHash: 'ab' }, NOW)
        expect(await records().findMedia(mine.mediaId)).toMatchObject({ endedAt: NOW })
        const other = await completeMedia(records(), 10)
        await records().endLease(other.mediaId, ALICE, NOW)
        await expect(records().endLease(freshId(), ALICE, NOW)).rejects.toMatchObject({ code: 'not_found' })
      })

      it('once: repeating it changes nothing', async () => {
        const media = await completeMedia(records(), 10)
        await Promise.all([1, 2, 3].map(later => records().endLease(media.mediaId, ALICE, NOW + later)))
        await records().endLease(media.mediaId, ALICE, NOW + 9)
        const { endedAt } = (await records().findMedia(media.mediaId)) ?? {}
        expect(endedAt).toBeLessThan(NOW + 9)
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 0 })
      })

      it('with their upload when it is not complete yet, at any step of it', async () => {
        const uploading = await records().beginUpload(newUpload({ declaredBytes: 200 }))
        const completing = await records().beginUpload(newUpload())
        await putParts(records(), completing, { 0: 40 })
        await records().finalizeUpload(completing.uploadId, 40)
        for (const { mediaId, uploadId } of [uploading, completing]) {
          await records().endLease(mediaId, ALICE, NOW)
          expect(await records().findUpload(uploadId)).toMatchObject({ state: 'aborted' })
          await expect(records().finishUpload(uploadId, NOW)).rejects.toMatchObject({ code: 'gone' })
        }
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
        expect(await records().listTombstones(10)).toHaveLength(2)
        expect(await records().listCompleting(10)).toEqual([])
      })
    })
  })
}
