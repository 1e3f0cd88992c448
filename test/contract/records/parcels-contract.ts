import { describe, expect, it } from 'vitest'

import { freshId } from '../../support/blob-bytes.ts'
import { bytesFor } from '../../support/random.ts'
import { completeMedia, LATER, newParcel, newUpload, NOW, PLENTY } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const ALICE = { clientId: 'alice', ownerHash: null }
const BOB = { clientId: 'bob', ownerHash: null }

export function parcelsContract(records: Records): void {
  describe('parcels', () => {
    const mediaIds = (count: number) =>
      Promise.all(Array.from({ length: count }, async () => (await completeMedia(records(), 10)).mediaId))
    const next = (ifVersion: number, media: readonly string[], text = 'next') => ({
      ifVersion,
      manifest: Buffer.from(text),
      media,
      caps: PLENTY,
    })
    const manifestOf = async (parcelId: string, version: number) =>
      Buffer.from((await records().readManifest(parcelId, version)) ?? []).toString()

    it('are found as they were published', async () => {
      const manifest = bytesFor('manifest', 300_000)
      const parcel = newParcel(await mediaIds(2), { manifest, ownerHash: 'ab' })
      const published = await records().publishParcel(parcel, ALICE)
      expect(published).toMatchObject({ version: 1, clientId: 'alice', ownerHash: 'ab', createdAt: NOW, endedAt: null })
      const found = await records().findParcel(parcel.parcelId)
      expect(found).toEqual(published)
      expect(found).toMatchObject({ version: 1, expiresAt: LATER, manifestBytes: manifest.length })
      expect(Buffer.from((await records().readManifest(parcel.parcelId, 1)) ?? []).equals(manifest)).toBe(true)
      expect(await records().findParcel(freshId())).toBeNull()
      expect(await records().readManifest(freshId(), 1)).toBeNull()
    })

    it.each([1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])(
      'give a manifest of %d bytes back, byte for byte, also from a view of a larger buffer',
      async bytes => {
        const around = bytesFor('around', bytes + 20)
        const manifest = around.subarray(10, bytes + 10)
        const { parcelId } = await records().publishParcel(newParcel([], { manifest }), ALICE)
        const found = await Promise.all([records().readManifest(parcelId, 1), records().readManifest(parcelId, 1)])
        for (const each of found) expect(Buffer.from(each ?? []).equals(manifest)).toBe(true)
      },
    )

    it('may cover a media item that is still being uploaded, and the same one twice', async () => {
      const { mediaId } = await records().beginUpload(newUpload())
      expect(await records().publishParcel(newParcel([mediaId, mediaId]), ALICE)).toMatchObject({ version: 1 })
    })

    it('cover only living media of their owner', async () => {
      const [mine, ended] = await mediaIds(2)
      const theirs = await completeMedia(records(), 10, { lease: { clientId: 'bob', ownerHash: 'cd' } })
      await records().endLease(ended ?? '', ALICE, NOW)
      for (const bad of [freshId(), ended ?? '', theirs.mediaId]) {
        const parcel = newParcel([mine ?? '', bad])
        await expect(records().publishParcel(parcel, ALICE)).rejects.toMatchObject({ code: 'not_found' })
        expect(await records().findParcel(parcel.parcelId)).toBeNull()
      }
      await records().publishParcel(newParcel([mine ?? '', theirs.mediaId]), { clientId: 'alice', ownerHash: 'cd' })
    })

    it('made with the same idempotency key are one', async () => {
      const key = { clientId: 'alice', key: 'k', fingerprint: 'f', expiresAt: LATER }
      const publish = (fingerprint: string) =>
        records().publishParcel(newParcel([], { idempotency: { ...key, fingerprint } }), ALICE)
      const [first, second] = await Promise.all([publish('f'), publish('f')])
      expect(second.parcelId).toBe(first.parcelId)
      await expect(publish('g')).rejects.toMatchObject({ code: 'idempotency_conflict' })
    })

    it('grow by versions', async () => {
      const [first, second] = await mediaIds(2)
      const { parcelId } = await records().publishParcel(newParcel([first ?? '']), ALICE)
      const grown = await records().replaceManifest(
        parcelId,
        { ...next(1, [first ?? '', second ?? '']), now: NOW },
        ALICE,
      )
      expect(grown).toMatchObject({ version: 2, parcelId })
      expect(await manifestOf(parcelId, 2)).toBe('next')
      expect(await records().readManifest(parcelId, 1)).toBeNull()
      expect(await records().readManifest(parcelId, 3)).toBeNull()
      expect(await records().findParcel(parcelId)).toMatchObject({ version: 2, manifestBytes: 4 })
      await records().replaceManifest(parcelId, { ...next(2, [second ?? '', first ?? '']), now: NOW }, ALICE)
      expect(await records().findParcel(parcelId)).toMatchObject({ version: 3 })
    })

    it('let exactly one of many writers of the same version through', async () => {
      const { parcelId } = await records().publishParcel(newParcel([]), ALICE)
      const writers = Array.from({ length: 20 }, (_, index) =>
        records().replaceManifest(parcelId, { ...next(1, [], `writer ${index}`), now: NOW }, ALICE),
      )
      const outcomes = await Promise.allSettled(writers)
      expect(outcomes.filter(outcome => outcome.status === 'fulfilled')).toHaveLength(1)
      const refused = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : []))
      for (const reason of refused) {
        expect(reason).toMatchObject({ code: 'version_mismatch', context: { version: 2 } })
      }
    })

    it("never drop a media item they cover, not even an ended one, and take no other's", async () => {
      const [first] = await mediaIds(1)
      const theirs = await completeMedia(records(), 10, { lease: { clientId: 'bob' } })
      const { parcelId } = await records().publishParcel(newParcel([first ?? '']), ALICE)
      await records().endLease(first ?? '', ALICE, NOW)
      await expect(records().replaceManifest(parcelId, { ...next(1, []), now: NOW }, ALICE)).rejects.toMatchObject({
        code: 'invalid_request',
      })
      await expect(
        records().replaceManifest(parcelId, { ...next(1, [first ?? '', theirs.mediaId]), now: NOW }, ALICE),
      ).rejects.toMatchObject({ code: 'not_found' })
      await records().replaceManifest(parcelId, { ...next(1, [first ?? '']), now: NOW }, ALICE)
    })

    it('are changed and ended by their owner alone', async () => {
      const { parcelId } = await records().publishParcel(newParcel([], { ownerHash: 'ab' }), ALICE)
      for (const claim of [BOB, { clientId: null, ownerHash: null }, { clientId: null, ownerHash: 'ac' }]) {
        await expect(records().replaceManifest(parcelId, { ...next(1, []), now: NOW }, claim)).rejects.toMatchObject({
          code: 'not_found',
        })
        await expect(records().endParcel(parcelId, claim, NOW)).rejects.toMatchObject({ code: 'not_found' })
      }
      await records().replaceManifest(parcelId, { ...next(1, []), now: NOW }, { clientId: null, ownerHash: 'ab' })
    })

    it('end with the leases they cover, and keep nothing of the manifest; repeating it is no error', async () => {
      const covered = await mediaIds(3)
      const [free] = await mediaIds(1)
      const { parcelId } = await records().publishParcel(newParcel(covered), ALICE)
      await records().endParcel(parcelId, ALICE, NOW)
      await records().endParcel(parcelId, ALICE, NOW + 5)
      expect(await records().findParcel(parcelId)).toMatchObject({ endedAt: NOW, manifestBytes: 0 })
      expect(await records().readManifest(parcelId, 1)).toBeNull()
      for (const mediaId of covered) expect(await records().findMedia(mediaId)).toMatchObject({ endedAt: NOW })
      expect(await records().findMedia(free ?? '')).toMatchObject({ endedAt: null })
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 10 })
      await expect(records().replaceManifest(parcelId, { ...next(1, covered), now: NOW }, ALICE)).rejects.toMatchObject(
        {
          code: 'gone',
        },
      )
      await expect(records().endParcel(freshId(), ALICE, NOW)).rejects.toMatchObject({ code: 'not_found' })
    })

    it('take no version once they have expired', async () => {
      const { parcelId } = await records().publishParcel(newParcel([]), ALICE)
      await expect(records().replaceManifest(parcelId, { ...next(1, []), now: LATER }, ALICE)).rejects.toMatchObject({
        code: 'gone',
      })
    })

    it('may cover thousands of media', async () => {
      const { blobId, mediaId } = await completeMedia(records(), 10)
      const leases = await Promise.all(
        Array.from({ length: 1200 }, () =>
          records().addLease({
            fromMediaId: mediaId,
            lease: { ...newParcelLease(), mediaId: freshId() },
            caps: { ...PLENTY, storedBytes: 2000 },
            idempotency: null,
          }),
        ),
      )
      const covered = leases.map(lease => lease.mediaId)
      const { parcelId } = await records().publishParcel(newParcel(covered), ALICE)
      await records().endParcel(parcelId, ALICE, NOW)
      await records().endLease(mediaId, ALICE, NOW)
      expect(await records().listTombstones(10)).toEqual([{ blobId }])
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 0 })
    })
  })
}

function newParcelLease() {
  return { clientId: 'alice', ownerHash: null, createdAt: NOW, expiresAt: LATER, maxDownloads: null }
}
