import { describe, expect, it } from 'vitest'

import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, newLease, newParcel, newUpload, NOW, PLENTY, putParts } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const ALICE = { clientId: 'alice', ownerHash: null }

export function upkeepContract(records: Records): void {
  describe('upkeep', () => {
    it('ends leases when their time is over, in batches, and not before', async () => {
      for (let index = 0; index < 5; index++) await completeMedia(records(), 10, { lease: { expiresAt: NOW + index } })
      expect(await records().endExpiredLeases(NOW - 1, 10)).toBe(0)
      expect(await records().endExpiredLeases(NOW + 3, 3)).toBe(3)
      expect(await records().endExpiredLeases(NOW + 3, 3)).toBe(1)
      expect(await records().endExpiredLeases(NOW + 3, 3)).toBe(0)
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 10 })
      expect(await records().listTombstones(10)).toHaveLength(4)
    })

    it('ends leases whose downloads are used up, but only when no grant lives any more', async () => {
      const media = await completeMedia(records(), 10, { lease: { maxDownloads: 2 } })
      await records().takeDownload(media.mediaId, { grantId: 'a', expiresAt: NOW + 50 }, NOW)
      expect(await records().endExpiredLeases(NOW + 100, 10)).toBe(0)
      await records().takeDownload(media.mediaId, { grantId: 'b', expiresAt: NOW + 150 }, NOW)
      expect(await records().endExpiredLeases(NOW + 100, 10)).toBe(0)
      expect(await records().endExpiredLeases(NOW + 150, 10)).toBe(1)
      expect(await records().findMedia(media.mediaId)).toMatchObject({ endedAt: NOW + 150 })
    })

    it('ends parcels when their time is over, with what they cover', async () => {
      const media = await completeMedia(records(), 10)
      const parcel = newParcel([media.mediaId], { expiresAt: NOW + 10 })
      await records().publishParcel(parcel, ALICE)
      expect(await records().endExpiredParcels(NOW + 9, 10)).toBe(0)
      expect(await records().endExpiredParcels(NOW + 10, 10)).toBe(1)
      expect(await records().findParcel(parcel.parcelId)).toMatchObject({ endedAt: NOW + 10 })
      expect(await records().findMedia(media.mediaId)).toMatchObject({ endedAt: NOW + 10 })
    })

    it('gives up uploads past their expiry, but none whose size is fixed', async () => {
      const idle = await records().beginUpload(newUpload({ declaredBytes: 100, expiresAt: NOW + 10 }))
      const alive = await records().beginUpload(newUpload({ declaredBytes: 100, expiresAt: NOW + 10 }))
      await records().recordPart(alive.uploadId, { index: 0, sizeBytes: 100 }, NOW + 20)
      const completing = await records().beginUpload(newUpload({ expiresAt: NOW + 10 }))
      await records().reservePart(completing.uploadId, { index: 0, sizeBytes: 5 }, PLENTY)
      await records().recordPart(completing.uploadId, { index: 0, sizeBytes: 5 }, NOW + 10)
      await records().finalizeUpload(completing.uploadId, 5)
      expect(await records().abortExpiredUploads(NOW + 15, 10)).toBe(1)
      expect(await records().findUpload(idle.uploadId)).toMatchObject({ state: 'aborted' })
      expect(await records().findUpload(alive.uploadId)).toMatchObject({ state: 'uploading' })
      expect(await records().listCompleting(10)).toMatchObject([{ uploadId: completing.uploadId, sizeBytes: 5 }])
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 105, pendingUploads: 2 })
    })

    it('forgets a blob once its bytes are gone, while its lease still shows that it existed', async () => {
      const media = await completeMedia(records(), 10)
      expect(await records().knownBlobs([media.blobId, freshId()])).toEqual(new Set([media.blobId]))
      await records().purgeBlob(media.blobId)
      expect(await records().knownBlobs([media.blobId])).toEqual(new Set([media.blobId]))
      await records().endLease(media.mediaId, ALICE, NOW)
      expect(await records().knownBlobs([media.blobId])).toEqual(new Set([media.blobId]))
      await records().purgeBlob(media.blobId)
      expect(await records().knownBlobs([media.blobId])).toEqual(new Set())
      expect(await records().listTombstones(10)).toEqual([])
      expect(await records().findMedia(media.mediaId)).toMatchObject({ endedAt: NOW })
    })

    it('ends all that refers to a blob whose bytes are gone, and nothing else', async () => {
      const media = await completeMedia(records(), 10)
      const forward = newLease({ clientId: 'bob' })
      await records().addLease({ fromMediaId: media.mediaId, lease: forward, caps: PLENTY, idempotency: null })
      const other = await completeMedia(records(), 20)
      const upload = await records().beginUpload(newUpload({ declaredBytes: 30 }))
      expect(await records().endBlob(media.blobId, NOW)).toBe(2)
      expect(await records().endBlob(upload.blobId, NOW)).toBe(1)
      expect(await records().endBlob(media.blobId, NOW)).toBe(0)
      for (const mediaId of [media.mediaId, forward.mediaId, upload.mediaId]) {
        expect(await records().findMedia(mediaId)).toMatchObject({ endedAt: NOW })
      }
      expect(await records().findMedia(other.mediaId)).toMatchObject({ endedAt: null })
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 20, reservedBytes: 0, pendingUploads: 0 })
      expect(await records().usage('bob')).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
      expect(await records().listTombstones(10)).toHaveLength(2)
    })

    it('lists a tombstone that was postponed behind all that ended before the new time', async () => {
      const [first, second] = [await completeMedia(records(), 10), await completeMedia(records(), 10)]
      await records().endLease(first.mediaId, ALICE, NOW)
      await records().endLease(second.mediaId, ALICE, NOW + 10)
      const order = async () => (await records().listTombstones(10)).map(({ blobId }) => blobId)
      expect(await order()).toEqual([first.blobId, second.blobId])
      await records().postponeTombstone(first.blobId, NOW + 10)
      expect(await order()).toEqual([second.blobId, first.blobId])
      await records().purgeBlob(second.blobId)
      await records().postponeTombstone(second.blobId, NOW + 20)
      expect(await order()).toEqual([first.blobId])
    })

    it('forgets what ended long ago, and nothing else', async () => {
      const old = await completeMedia(records(), 10, { lease: { maxDownloads: 1 } })
      const recent = await completeMedia(records(), 10)
      const alive = await completeMedia(records(), 10)
      const parcel = newParcel([alive.mediaId])
      await records().publishParcel(parcel, ALICE)
      const aborted = await records().beginUpload(newUpload())
      await records().abortUpload(aborted.uploadId, NOW)
      await records().endLease(old.mediaId, ALICE, NOW)
      await records().endLease(recent.mediaId, ALICE, NOW + 100)
      for (const { blobId } of await records().listTombstones(10)) await records().purgeBlob(blobId)
      const purge = async () => {
        while ((await records().purgeEnded(NOW + 50, NOW + 50, 2)) > 0);
      }
      await purge()
      expect(await records().findMedia(old.mediaId)).toBeNull()
      expect(await records().findMedia(aborted.mediaId)).toBeNull()
      expect(await records().findUpload(aborted.uploadId)).toBeNull()
      expect(await records().findMedia(recent.mediaId)).toMatchObject({ endedAt: NOW + 100 })
      expect(await records().findMedia(alive.mediaId)).toMatchObject({ endedAt: null })
      expect(await records().findParcel(parcel.parcelId)).toMatchObject({ endedAt: null })
      await records().endParcel(parcel.parcelId, ALICE, NOW + 10)
      await purge()
      expect(await records().findParcel(parcel.parcelId)).toBeNull()
    })

    it('forgets lapsed grants, keys and devices', async () => {
      const media = await completeMedia(records(), 10, { lease: { maxDownloads: 9 } })
      await records().takeDownload(media.mediaId, { grantId: 'a', expiresAt: NOW + 10 }, NOW)
      await records().noteDevice({ clientId: 'alice', deviceId: 'phone', cap: 5, now: NOW, forgetBefore: NOW - 1000 })
      const key = { clientId: 'alice', key: 'k', fingerprint: 'f', expiresAt: NOW + 10 }
      await records().beginUpload(newUpload({ idempotency: key }))
      while ((await records().purgeEnded(NOW + 50, NOW + 50, 10)) > 0);
      expect(await records().hasGrant(media.mediaId, 'a', NOW)).toBe(false)
      expect(await records().countDevices('alice', 0)).toBe(0)
      const again = newUpload({ idempotency: { ...key, fingerprint: 'other' } })
      expect((await records().beginUpload(again)).uploadId).toBe(again.uploadId)
    })

    it('lists every blob that must be readable, page by page', async () => {
      const complete = await completeMedia(records(), 10)
      const uploading = await records().beginUpload(newUpload())
      const completing = await records().beginUpload(newUpload())
      await putParts(records(), completing, { 0: 7 })
      await records().finalizeUpload(completing.uploadId, 7)
      const ended = await completeMedia(records(), 10)
      await records().endLease(ended.mediaId, ALICE, NOW)
      const pages = []
      for (let after: string | null = null; ;) {
        const [blob] = await records().listLiveBlobs(after, 1)
        if (!blob) break
        pages.push(blob)
        after = blob.blobId
      }
      const expected = [
        { blobId: complete.blobId, state: 'complete', sizeBytes: 10 },
        { blobId: uploading.blobId, state: 'uploading', sizeBytes: null },
        { blobId: completing.blobId, state: 'completing', sizeBytes: 7 },
      ].sort((left, right) => (left.blobId < right.blobId ? -1 : 1))
      expect(pages).toMatchObject(expected)
    })

    it('counts what there is', async () => {
      const media = await completeMedia(records(), 10)
      await records().addLease({
        fromMediaId: media.mediaId,
        lease: newLease({ clientId: 'bob' }),
        caps: PLENTY,
        idempotency: null,
      })
      await records().beginUpload(newUpload({ declaredBytes: 33, lease: { createdAt: NOW - 5 } }))
      await records().publishParcel(newParcel([]), ALICE)
      const gone = await completeMedia(records(), 77)
      await records().endLease(gone.mediaId, ALICE, NOW)
      expect(await records().totals()).toEqual({
        blobs: 1,
        blobBytes: 10,
        reservedBytes: 33,
        pendingUploads: 1,
        leases: 3,
        parcels: 1,
        tombstones: 1,
        oldestUploadAt: NOW - 5,
      })
    })

    it('says nothing of uploads when there is none', async () => {
      expect(await records().totals()).toMatchObject({ oldestUploadAt: null, blobBytes: 0, reservedBytes: 0 })
    })

    it('proves that it can commit, and finds nothing to change in a schema that is up to date', async () => {
      await records().probe()
      await records().migrate()
      expect(await records().probe()).toBeUndefined()
    })
  })
}
