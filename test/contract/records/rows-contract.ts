import { describe, expect, it } from 'vitest'

import { freshId } from '../../support/blob-bytes.ts'
import {
  completeMedia,
  LATER,
  newLease,
  newParcel,
  newUpload,
  NOW,
  PART,
  PLENTY,
} from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const ALICE = { clientId: 'alice', ownerHash: null }
const CROWD = 64

/** What makes rows, each `rows` of them a time; refused when the client may have no more. */
export function rowsContract(records: Records): void {
  const usage = async (clientId = 'alice') => records().usage(clientId)
  const key = (clientId = 'alice') => ({ clientId, key: freshId(), fingerprint: 'f', expiresAt: LATER })
  const begin = (storedRows: number, more: Parameters<typeof newUpload>[0] = {}) =>
    records().beginUpload(newUpload({ caps: { storedRows }, ...more }))
  const publish = (storedRows: number, media: readonly string[] = [], idempotency = false) =>
    records().publishParcel(
      newParcel(media, { caps: { ...PLENTY, storedRows }, idempotency: idempotency ? key() : null }),
      ALICE,
    )

  interface Route {
    readonly name: string
    readonly rows: number
    /** Makes what the route needs, charged to others where that can be, and gives the call. */
    readonly prepare: () => Promise<(storedRows: number) => Promise<unknown>>
  }
  const routes: readonly Route[] = [
    { name: 'an upload', rows: 1, prepare: async () => cap => begin(cap, { declaredBytes: 1 }) },
    {
      name: 'an upload with an idempotency key',
      rows: 2,
      prepare: async () => cap => begin(cap, { declaredBytes: 1, idempotency: key() }),
    },
    {
      name: 'an upload whose downloads are counted',
      rows: 4,
      prepare: async () => cap => begin(cap, { declaredBytes: 1, lease: { maxDownloads: 3 } }),
    },
    {
      name: 'a part of an upload of unknown size',
      rows: 1,
      prepare: async () => {
        const upload = await begin(PLENTY.storedRows)
        let index = 0
        return storedRows =>
          records().reservePart(upload.uploadId, { index: index++, sizeBytes: PART }, { ...PLENTY, storedRows })
      },
    },
    { name: 'a parcel', rows: 1, prepare: async () => cap => publish(cap) },
    {
      name: 'a parcel with an idempotency key that covers two media',
      rows: 4,
      prepare: async () => {
        const media = await Promise.all([1, 2].map(async () => (await completeMedia(records(), 1)).mediaId))
        return cap => publish(cap, media, true)
      },
    },
    {
      name: 'a forward',
      rows: 1,
      prepare: async () => {
        const { mediaId } = await completeMedia(records(), 1, { lease: { clientId: 'bob' } })
        return storedRows =>
          records().addLease({
            fromMediaId: mediaId,
            lease: newLease(),
            caps: { ...PLENTY, storedRows },
            idempotency: null,
          })
      },
    },
    {
      name: 'a forward of its own count, with an idempotency key',
      rows: 5,
      prepare: async () => {
        const { mediaId } = await completeMedia(records(), 1, { lease: { clientId: 'bob' } })
        const lease = () => newLease({ maxDownloads: 3 })
        return storedRows =>
          records().addLease({
            fromMediaId: mediaId,
            lease: lease(),
            caps: { ...PLENTY, storedRows },
            idempotency: key(),
          })
      },
    },
  ]

  describe('rows', () => {
    it.each(routes)('of $name are counted exactly when sixty-four are asked for at once', async ({ rows, prepare }) => {
      const call = await prepare()
      const { storedRows: before } = await usage()
      const fitting = 13
      const cap = before + fitting * rows + (rows - 1)
      const outcomes = await Promise.allSettled(Array.from({ length: CROWD }, () => call(cap)))
      expect(outcomes.filter(outcome => outcome.status === 'fulfilled')).toHaveLength(fitting)
      for (const outcome of outcomes) {
        if (outcome.status === 'fulfilled') continue
        expect(outcome.reason).toMatchObject({ code: 'quota_exceeded', context: { limit: 'storedRows', value: cap } })
      }
      expect(await usage()).toMatchObject({ storedRows: before + fitting * rows })
      expect(await records().auditUsage(false)).toEqual([])
    })

    it('of media that a parcel comes to cover are counted when it is replaced', async () => {
      const media = await Promise.all([1, 2, 3].map(async () => (await completeMedia(records(), 1)).mediaId))
      const { parcelId } = await publish(PLENTY.storedRows, media.slice(0, 1))
      const { storedRows: before } = await usage()
      const next = (storedRows: number) => ({
        ifVersion: 1,
        manifest: Buffer.from('n'),
        media,
        caps: { ...PLENTY, storedRows },
      })
      await expect(records().replaceManifest(parcelId, { ...next(before + 1), now: NOW }, ALICE)).rejects.toMatchObject(
        {
          code: 'quota_exceeded',
          context: { limit: 'storedRows', value: before + 1, remaining: 1 },
        },
      )
      await records().replaceManifest(parcelId, { ...next(before + 2), now: NOW }, ALICE)
      expect(await usage()).toMatchObject({ storedRows: before + 2 })
    })

    it('of a request that is repeated with its key are counted once', async () => {
      const idempotency = key()
      const parcel = () => records().publishParcel(newParcel([], { idempotency }), ALICE)
      const lease = { ...key(), key: freshId() }
      const { mediaId } = await completeMedia(records(), 1)
      const forward = () =>
        records().addLease({ fromMediaId: mediaId, lease: newLease(), caps: PLENTY, idempotency: lease })
      const upload = { ...key(), key: freshId() }
      const start = () => begin(PLENTY.storedRows, { idempotency: upload })
      for (let round = 0; round < 3; round += 1) await Promise.all([parcel(), parcel(), forward(), forward(), start()])
      expect(await usage()).toMatchObject({ storedRows: 1 + 2 + 2 + 2 })
    })

    it('of a key that is claimed anew after it lapsed are counted once', async () => {
      const idempotency = { ...key(), expiresAt: NOW }
      await records().publishParcel(newParcel([], { idempotency }), ALICE)
      await records().publishParcel(newParcel([], { idempotency: { ...idempotency, expiresAt: LATER } }), ALICE)
      expect(await usage()).toMatchObject({ storedRows: 3 })
      expect(await records().auditUsage(false)).toEqual([])
    })

    it('of what has ended are counted until they are purged, and then none is', async () => {
      const counted = await completeMedia(records(), 10, { lease: { maxDownloads: 2 }, idempotency: key() })
      await records().takeDownload(counted.mediaId, { grantId: freshId(), expiresAt: LATER }, NOW)
      const forward = await records().addLease({
        fromMediaId: counted.mediaId,
        lease: newLease({ clientId: 'bob' }),
        caps: PLENTY,
        idempotency: key('bob'),
      })
      const unfinished = await begin(PLENTY.storedRows)
      await records().reservePart(unfinished.uploadId, { index: 0, sizeBytes: PART }, PLENTY)
      const { parcelId } = await publish(PLENTY.storedRows, [counted.mediaId], true)
      expect(await usage()).toEqual({
        storedBytes: 10 + 17,
        storedRows: 4 + 2 + 3,
        reservedBytes: PART,
        pendingUploads: 1,
      })
      await records().endParcel(parcelId, ALICE, NOW)
      await records().abortUpload(unfinished.uploadId, NOW)
      expect(await records().findMedia(forward.mediaId)).toMatchObject({ endedAt: NOW })
      expect(await usage()).toEqual({ storedBytes: 0, storedRows: 4 + 1 + 3, reservedBytes: 0, pendingUploads: 0 })
      for (const { blobId } of await records().listTombstones(10)) await records().purgeBlob(blobId)
      while ((await records().purgeEnded(NOW + 1, LATER, 3)) > 0);
      const nothing = { storedBytes: 0, storedRows: 0, reservedBytes: 0, pendingUploads: 0 }
      expect([await usage(), await usage('bob')]).toEqual([nothing, nothing])
      expect(await records().totals()).toMatchObject({ blobs: 0, leases: 0, parcels: 0, tombstones: 0 })
      expect(await records().auditUsage(false)).toEqual([])
    })
  })

  describe('manifests', () => {
    const parcel = (bytes: number, storedBytes: number) =>
      newParcel([], { manifest: Buffer.alloc(bytes), caps: { ...PLENTY, storedBytes } })

    it('are charged to the byte when sixty-four are published at once', async () => {
      const sizes = Array.from({ length: CROWD }, (_, index) => 100 + index * 7)
      const outcomes = await Promise.allSettled(sizes.map(bytes => records().publishParcel(parcel(bytes, 5003), ALICE)))
      const stored = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value.manifestBytes] : []))
      const sum = stored.reduce((total, bytes) => total + bytes, 0)
      expect(await usage()).toMatchObject({ storedBytes: sum, storedRows: stored.length })
      expect(sum).toBeLessThanOrEqual(5003)
      for (const bytes of sizes.filter(each => !stored.includes(each))) expect(sum + bytes).toBeGreaterThan(5003)
    })

    it('are charged by the difference when they are replaced, and released when their parcel ends or expires', async () => {
      const made = await records().publishParcel(parcel(300, 1000), ALICE)
      const other = await records().publishParcel({ ...parcel(500, 1000), expiresAt: NOW + 5 }, ALICE)
      const replace = (ifVersion: number, bytes: number, claim: typeof ALICE | typeof SECRET = ALICE) => {
        const caps = { ...PLENTY, storedBytes: 1000 }
        const next = { ifVersion, manifest: Buffer.alloc(bytes), media: [], caps }
        return records().replaceManifest(made.parcelId, { ...next, now: NOW }, claim)
      }
      await expect(replace(1, 501)).rejects.toMatchObject({
        code: 'quota_exceeded',
        context: { limit: 'storedBytes', value: 1000, remaining: 200 },
      })
      expect(await usage()).toMatchObject({ storedBytes: 800 })
      await replace(1, 500)
      expect(await usage()).toMatchObject({ storedBytes: 1000 })
      await replace(2, 20)
      expect(await usage()).toMatchObject({ storedBytes: 520 })
      await records().endParcel(made.parcelId, ALICE, NOW)
      expect(await usage()).toMatchObject({ storedBytes: 500 })
      await records().endExpiredParcels(NOW + 5, 10)
      expect(await usage()).toMatchObject({ storedBytes: 0 })
      expect(await records().findParcel(other.parcelId)).toMatchObject({ manifestBytes: 0 })
    })

    it('are charged to the client that published, whichever client replaces them', async () => {
      const { parcelId } = await records().publishParcel({ ...parcel(10, 1000), ownerHash: 'ab' }, ALICE)
      const next = { ifVersion: 1, manifest: Buffer.alloc(70), media: [], caps: PLENTY }
      await records().replaceManifest(parcelId, { ...next, now: NOW }, SECRET)
      expect(await usage()).toMatchObject({ storedBytes: 70 })
      expect(await usage('bob')).toMatchObject({ storedBytes: 0, storedRows: 0 })
      expect(await records().auditUsage(false)).toEqual([])
    })
  })
}

const SECRET = { clientId: null, ownerHash: 'ab' }
