import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { type CommitFault, type CommitProxy, startCommitProxy } from '../support/commit-proxy.ts'
import { createDatabase, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { seededRandom } from '../support/random.ts'
import { completeMedia, LATER, newLease, newParcel, newUpload, NOW, PART, PLENTY } from '../support/record-fixtures.ts'

const FAULTS: readonly CommitFault[] = ['request lost', 'response lost', 'cut']
const ALICE = { clientId: 'alice', ownerHash: null }

describe('records on PostgreSQL, when the outcome of a commit is unknown', () => {
  let database: TestDatabase
  let proxy: CommitProxy
  let records: RecordStore

  beforeAll(async () => {
    database = await createDatabase(await sharedEngine(postgresEngine))
    proxy = await startCommitProxy(database.url)
    records = await openPostgresRecordStore({
      url: proxy.url,
      poolSize: 12,
      connectTimeoutMs: 60_000,
      statementTimeoutMs: 10_000,
    })
    await records.migrate()
  })
  afterEach(() => {
    proxy.fault = () => null
  })
  afterAll(async () => {
    await records[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
    await database[Symbol.asyncDispose]()
  })

  /** The next commit meets `fault`, the ones after it nothing. */
  const once = (fault: CommitFault): void => {
    proxy.fault = () => {
      proxy.fault = () => null
      return fault
    }
  }
  const expectClean = async () => expect(await records.auditUsage(false)).toEqual([])

  describe.each(FAULTS)('(%s)', fault => {
    const lose = <T>(work: () => Promise<T>): Promise<T> => {
      once(fault)
      return work()
    }

    it('begins an upload once, with an idempotency key and without, even when the quota has room for just one', async () => {
      const clientId = freshId()
      const caps = { ...PLENTY, pendingUploads: 1, storedBytes: 100 }
      const upload = newUpload({ declaredBytes: 100, caps, lease: { clientId } })
      expect(await lose(() => records.beginUpload(upload))).toMatchObject({ uploadId: upload.uploadId })
      expect(await records.usage(clientId)).toMatchObject({ storedBytes: 0, reservedBytes: 100, pendingUploads: 1 })
      await records.abortUpload(upload.uploadId, NOW)
      const idempotency = { clientId, key: 'k', fingerprint: 'f', expiresAt: LATER }
      const keyed = { ...upload, uploadId: freshId(), blobId: freshId(), lease: newLease({ clientId }), idempotency }
      expect(await lose(() => records.beginUpload(keyed))).toMatchObject({ uploadId: keyed.uploadId })
      expect(await records.usage(clientId)).toMatchObject({ reservedBytes: 100, pendingUploads: 1 })
      await expectClean()
    })

    it('takes parts, fixes the size and finishes once', async () => {
      const clientId = freshId()
      const { uploadId } = await records.beginUpload(newUpload({ lease: { clientId } }))
      const part = { index: 0, sizeBytes: PART }
      await lose(() => records.reservePart(uploadId, part, PLENTY))
      await lose(() => records.recordPart(uploadId, part, LATER))
      expect(await lose(() => records.finalizeUpload(uploadId, PART))).toMatchObject({ state: 'completing' })
      expect(await lose(() => records.finishUpload(uploadId, NOW))).toMatchObject({ state: 'complete' })
      expect(await records.usage(clientId)).toMatchObject({ storedBytes: PART, reservedBytes: 0, pendingUploads: 0 })
      await expectClean()
    })

    it('finishes a whole upload once, and gives up another once', async () => {
      const clientId = freshId()
      const whole = await records.beginUpload(newUpload({ declaredBytes: 70, lease: { clientId } }))
      const other = await records.beginUpload(newUpload({ declaredBytes: 50, lease: { clientId } }))
      await lose(() => records.finishInOneStep(whole.uploadId, { sizeBytes: 70, caps: PLENTY, now: NOW }))
      await lose(() => records.abortUpload(other.uploadId, NOW))
      expect(await records.usage(clientId)).toMatchObject({ storedBytes: 70, reservedBytes: 0, pendingUploads: 0 })
      await expectClean()
    })

    it('forwards once, and charges once', async () => {
      const media = await completeMedia(records, 40)
      const lease = newLease({ clientId: freshId() })
      const caps = { ...PLENTY, storedBytes: 40 }
      expect(
        await lose(() => records.addLease({ fromMediaId: media.mediaId, lease, caps, idempotency: null })),
      ).toMatchObject(lease)
      expect(await records.usage(lease.clientId)).toMatchObject({ storedBytes: 40 })
      await lose(() => records.endLease(lease.mediaId, { clientId: lease.clientId, ownerHash: null }, NOW))
      expect(await records.usage(lease.clientId)).toMatchObject({ storedBytes: 0 })
      await expectClean()
    })

    it('counts a download once, and gives it back once', async () => {
      const media = await completeMedia(records, 10, { lease: { maxDownloads: 3 } })
      const grant = { grantId: freshId(), expiresAt: LATER }
      await lose(() => records.takeDownload(media.mediaId, grant, NOW))
      expect(await records.findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 1 })
      await lose(() => records.returnDownload(media.mediaId, grant.grantId))
      expect(await records.findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 0 })
    })

    it('takes the last download once', async () => {
      const media = await completeMedia(records, 10, { lease: { maxDownloads: 1 } })
      await lose(() => records.takeDownload(media.mediaId, { grantId: freshId(), expiresAt: LATER }, NOW))
      expect(await records.findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 1 })
    })

    it('publishes, replaces and ends a parcel once', async () => {
      const media = await completeMedia(records, 10)
      const parcel = newParcel([media.mediaId])
      expect(await lose(() => records.publishParcel(parcel, ALICE))).toMatchObject({ version: 1 })
      const next = { ifVersion: 1, manifest: Buffer.from('the next one'), media: [media.mediaId], caps: PLENTY }
      expect(await lose(() => records.replaceManifest(parcel.parcelId, { ...next, now: NOW }, ALICE))).toMatchObject({
        version: 2,
      })
      await lose(() => records.endParcel(parcel.parcelId, ALICE, NOW))
      expect(await records.findMedia(media.mediaId)).toMatchObject({ endedAt: NOW })
      await expectClean()
    })

    it('notes a device once, and keeps a lease by name', async () => {
      const clientId = freshId()
      await lose(() => records.noteDevice({ clientId, deviceId: 'phone', cap: 1, now: NOW, forgetBefore: 0 }))
      expect(await records.countDevices(clientId, 0)).toBe(1)
      const name = freshId()
      const lease = await lose(() => records.acquireLock(name, 'a', 60_000))
      expect(lease && (await lose(() => records.renewLock(lease, 60_000)))).toMatchObject({ fence: lease?.fence })
    })
  })

  it.each([1, 2, 3])('stays exact when every third commit of a crowd goes wrong (seed %i)', async seed => {
    const random = seededRandom(seed)
    const clientId = freshId()
    const caps = { ...PLENTY, storedBytes: 2000 }
    const popular = await completeMedia(records, 10, { lease: { maxDownloads: 17 } })
    proxy.fault = () => (random.chance(1 / 3) ? random.pick(FAULTS) : null)
    const stored = Array.from({ length: 32 }, async () => {
      const upload = await records.beginUpload(newUpload({ declaredBytes: 100, caps, lease: { clientId } }))
      await records.finishInOneStep(upload.uploadId, { sizeBytes: 100, caps, now: NOW })
    })
    const taken = Array.from({ length: 32 }, () =>
      records.takeDownload(popular.mediaId, { grantId: freshId(), expiresAt: LATER }, NOW),
    )
    const settled = await Promise.all([Promise.allSettled(stored), Promise.allSettled(taken)])
    const [outcomes, downloads] = settled.map(each => each.map(outcomeOf))
    if (!outcomes || !downloads) throw new Error('nothing was tried')
    proxy.fault = () => null
    expect(outcomes.filter(outcome => outcome === 'done')).toHaveLength(20)
    expect(new Set(outcomes)).toEqual(new Set(['done', 'quota_exceeded']))
    expect(downloads.filter(outcome => outcome === 'done')).toHaveLength(17)
    expect(new Set(downloads)).toEqual(new Set(['done', 'downloads_exhausted']))
    expect(await records.usage(clientId)).toMatchObject({ storedBytes: 2000, reservedBytes: 0, pendingUploads: 0 })
    await expectClean()
  })
})

function outcomeOf(settled: PromiseSettledResult<unknown>): string {
  if (settled.status === 'fulfilled') return 'done'
  const reason: unknown = settled.reason
  return reason instanceof Error && 'code' in reason ? String(reason.code) : String(reason)
}
