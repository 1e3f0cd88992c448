import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import { DELETIONS_AT_ONCE } from '../../../src/server/upkeep/delete-blobs.ts'
import { BATCH } from '../../../src/server/upkeep/expire.ts'
import { createSweeper, type Sweeper, type UpkeepSettings } from '../../../src/server/upkeep/sweeper.ts'
import { CollectingSink, freshId, piecesOf, readBytes, steady, storeBlob } from '../../support/blob-bytes.ts'
import { FaultyBlobStore } from '../../support/faulty-blob-store.ts'
import { bytesFor } from '../../support/random.ts'
import { completeMedia, LATER, newLease, newParcel, newUpload, NOW, PLENTY } from '../../support/record-fixtures.ts'
import { type TempStorage, tempStorage } from '../../support/temp-storage.ts'
import { UpkeepLog } from '../../support/upkeep-log.ts'

const ALICE = { clientId: 'alice', ownerHash: null }
const HOUR = 3_600_000

describe('the sweeper', () => {
  let storage: TempStorage
  let blobs: FaultyBlobStore
  let log: UpkeepLog
  let now: number
  const sweepers: Sweeper[] = []
  const settings: UpkeepSettings = { sweepEveryMs: 1_000_000, orphanGraceMs: HOUR, keepEndedMs: 24 * HOUR }
  const newSweeper = (changes: Partial<UpkeepSettings> = {}): Sweeper => {
    const sweeper = createSweeper({
      blobs,
      records: storage.records,
      clock: () => now,
      settings: () => ({ ...settings, ...changes }),
      events: log,
    })
    sweepers.push(sweeper)
    return sweeper
  }
  const stored = async () => {
    const found: string[] = []
    for await (const blob of storage.blobs.list(steady())) found.push(blob.blobId)
    return found.sort()
  }

  beforeEach(async () => {
    storage = await tempStorage()
    blobs = new FaultyBlobStore(storage.blobs)
    log = new UpkeepLog()
    now = NOW
  })
  afterEach(async () => {
    for (const sweeper of sweepers.splice(0)) await sweeper[Symbol.asyncDispose]()
    await storage[Symbol.asyncDispose]()
  })

  it('takes what has expired from its record to its last byte in one sweep', async () => {
    const expiring = await storage.storeMedia(1000, { lease: { expiresAt: NOW + 10 } })
    const covered = await storage.storeMedia(1000)
    await storage.records.publishParcel(newParcel([covered.mediaId], { expiresAt: NOW + 10 }), ALICE)
    const idle = await storage.storeParts({ 0: 100 }, { expiresAt: NOW + 10 })
    const kept = await storage.storeMedia(1000)
    now = NOW + 10
    expect(await newSweeper().sweep()).toMatchObject({
      expire_parcels: 1,
      expire_leases: 1,
      expire_uploads: 1,
      delete_blobs: 3,
    })
    expect(await stored()).toEqual([kept.blobId])
    expect(await storage.records.usage('alice')).toMatchObject({
      storedBytes: 1000,
      reservedBytes: 0,
      pendingUploads: 0,
    })
    for (const { mediaId } of [expiring, covered, idle]) {
      expect(await storage.records.findMedia(mediaId)).toMatchObject({ endedAt: NOW + 10 })
    }
    expect(log.failures).toEqual([])
  })

  it('retains a media item that was forwarded, until the last lease ends', async () => {
    const media = await storage.storeMedia(1000, { lease: { expiresAt: NOW + 10 } })
    await storage.records.addLease({
      fromMediaId: media.mediaId,
      lease: newLease({ clientId: 'bob', expiresAt: NOW + 20 }),
      caps: PLENTY,
      idempotency: null,
    })
    now = NOW + 10
    await newSweeper().sweep()
    expect(await stored()).toEqual([media.blobId])
    now = NOW + 20
    await newSweeper().sweep()
    expect(await stored()).toEqual([])
  })

  it('handles many more than one batch', async () => {
    const begun = Array.from({ length: 450 }, () => storage.storeParts({}, { expiresAt: NOW + 10 }))
    await Promise.all(begun)
    now = NOW + 10
    expect(await newSweeper().sweep()).toMatchObject({ expire_uploads: 450, delete_blobs: 450 })
    now = NOW + 48 * HOUR
    await newSweeper().sweep()
    expect((await storage.records.totals()).leases).toBe(0)
  })

  it('finishes an upload that was cut short after its size was fixed, whether its file was moved or not', async () => {
    const uploads = [await storage.storeParts({ 0: 100, 1: 50 }), await storage.storeParts({ 0: 100, 1: 50 })]
    for (const { uploadId } of uploads) await storage.records.finalizeUpload(uploadId, 150)
    await storage.blobs.complete({ blobId: uploads[0]?.blobId ?? '', partBytes: 100 }, 150)
    expect(await newSweeper().sweep()).toMatchObject({ finish_uploads: 2 })
    for (const { mediaId } of uploads) {
      expect(await storage.records.findMedia(mediaId)).toMatchObject({ state: 'complete', sizeBytes: 150 })
    }
    expect(await storage.records.usage('alice')).toMatchObject({
      storedBytes: 300,
      reservedBytes: 0,
      pendingUploads: 0,
    })
  })

  it('deletes bytes that no record knows, when they are old enough', async () => {
    const old = await storeBlob(storage.blobs, bytesFor('old', 100))
    const unfinished = { blobId: freshId(), partBytes: 100 }
    await storage.blobs.putPart({ ...unfinished, index: 0, sizeBytes: 1 }, piecesOf(Buffer.alloc(1)), steady())
    const young = await storeBlob(storage.blobs, bytesFor('young', 100))
    const known = await storage.storeMedia(100)
    await storage.ageFile(old.blobId, NOW - HOUR - 1)
    await storage.ageFile(unfinished.blobId, NOW - HOUR - 1, 'uploads')
    await storage.ageFile(young.blobId, NOW - HOUR + 1000)
    await storage.ageFile(known.blobId, NOW - 100 * HOUR)
    expect(await newSweeper().sweep()).toMatchObject({ delete_orphans: 2 })
    expect(await stored()).toEqual([young.blobId, known.blobId].sort())
    expect(log.orphans.sort()).toEqual([old.blobId, unfinished.blobId].sort())
  })

  it('deletes nothing when most of the store is unknown to the records: they are more likely to be lost', async () => {
    for (let index = 0; index < 110; index++) {
      const { blobId } = await storeBlob(storage.blobs, bytesFor('x', 1))
      await storage.ageFile(blobId, NOW - 2 * HOUR)
    }
    expect(await newSweeper().sweep()).toMatchObject({ delete_orphans: 0 })
    expect(log.suspicions).toEqual([{ orphans: 110, blobs: 110 }])
    expect(await stored()).toHaveLength(110)
  })

  it('reports bytes that are missing or too few, and deletes no record for it', async () => {
    const [gone, short, whole] = [
      await storage.storeMedia(1000),
      await storage.storeMedia(1000),
      await storage.storeMedia(1000),
    ]
    const upload = await storage.storeParts({ 0: 100, 2: 30 })
    await storage.removeFile(gone.blobId)
    await storage.cutFile(short.blobId, 999)
    expect(await newSweeper().sweep()).toMatchObject({ check_blobs: 2 })
    const missing = [...log.missing].sort((left, right) => (left.storedBytes ?? -1) - (right.storedBytes ?? -1))
    expect(missing).toEqual([
      { blobId: gone.blobId, expectedBytes: 1000, storedBytes: null },
      { blobId: short.blobId, expectedBytes: 1000, storedBytes: 999 },
    ])
    for (const { mediaId } of [gone, short, whole, upload]) {
      expect(await storage.records.findMedia(mediaId)).toMatchObject({ endedAt: null })
    }
  })

  it('walks the whole store once per orphan grace time, and does the rest each time', async () => {
    const sweeper = newSweeper()
    expect(await sweeper.sweep()).toHaveProperty('delete_orphans')
    expect(await sweeper.sweep()).not.toHaveProperty('delete_orphans')
    expect(await sweeper.sweep()).toHaveProperty('delete_blobs')
    expect(await newSweeper({ orphanGraceMs: 0 }).sweep()).toHaveProperty('check_blobs')
  })

  it('goes on when one item fails, and tries it again in the next sweep', async () => {
    const [first, second, third] = [
      await storage.storeMedia(10, { lease: { expiresAt: NOW } }),
      await storage.storeMedia(10, { lease: { expiresAt: NOW } }),
      await storage.storeMedia(10, { lease: { expiresAt: NOW } }),
    ]
    const broken = new SealiftError('unavailable', 'The disk is away')
    blobs.faults = [{ verb: 'delete', nth: 1, error: broken }]
    const sweeper = newSweeper()
    expect(await sweeper.sweep()).toMatchObject({ delete_blobs: 2 })
    expect(log.failures).toMatchObject([{ task: 'delete_blobs', error: broken }])
    expect([first.blobId, second.blobId, third.blobId]).toContain(log.failures[0]?.blobId)
    expect(await sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
    expect(await stored()).toEqual([])
  })

  it('goes on with the other tasks when one fails as a whole', async () => {
    await storage.storeMedia(10, { lease: { expiresAt: NOW } })
    const sweeper = createSweeper({
      blobs,
      records: {
        ...storage.records,
        endExpiredParcels: () => Promise.reject(new SealiftError('unavailable', 'Not now')),
      },
      clock: () => now,
      settings: () => settings,
      events: log,
    })
    sweepers.push(sweeper)
    const report = await sweeper.sweep()
    expect(report).toMatchObject({ expire_leases: 1, delete_blobs: 1 })
    expect(report).not.toHaveProperty('expire_parcels')
    expect(log.failures).toMatchObject([{ task: 'expire_parcels', blobId: null }])
  })

  it('does not try for ever when nothing can be deleted', async () => {
    for (let index = 0; index < 5; index++) await storage.storeMedia(10, { lease: { expiresAt: NOW } })
    blobs.faults = [{ verb: 'delete', error: new SealiftError('unavailable', 'Never') }]
    expect(await newSweeper().sweep()).toMatchObject({ delete_blobs: 0 })
    expect(log.failures).toHaveLength(5)
  })

  it('deletes what can be deleted, however much cannot', async () => {
    const gone = { lease: { expiresAt: NOW } }
    const held = new Set<string>()
    for (let index = 0; index < BATCH; index++) held.add((await completeMedia(storage.records, 1, gone)).blobId)
    const remove = blobs.delete.bind(blobs)
    blobs.delete = async blobId => {
      if (held.has(blobId)) throw new SealiftError('unavailable', 'The store holds it for the law')
      return remove(blobId)
    }
    const sweeper = newSweeper()
    expect(await sweeper.sweep()).toMatchObject({ delete_blobs: 0 })
    now += 1
    await storage.storeMedia(10, { lease: { expiresAt: now } })
    await sweeper.sweep()
    now += 1
    await sweeper.sweep()
    expect(await stored()).toEqual([])
    expect(await storage.records.listTombstones(BATCH + 1)).toHaveLength(BATCH)
  })

  it('finishes what can be finished, however much cannot', async () => {
    const uploads = []
    for (let index = 0; index <= BATCH; index++) {
      const upload = await storage.records.beginUpload(newUpload({ declaredBytes: 1 }))
      await storage.records.recordPart(upload.uploadId, { index: 0, sizeBytes: 1 }, LATER)
      await storage.records.finalizeUpload(upload.uploadId, 1)
      uploads.push(upload)
    }
    // Of those that have no bytes, none can be finished; one has them.
    const whole = (await storage.records.listCompleting(BATCH + 1)).at(-1) ?? uploads[0]
    if (!whole) throw new Error('There is no upload')
    await storage.blobs.putPart({ ...whole, index: 0, sizeBytes: 1 }, piecesOf(bytesFor('whole', 1)), steady())
    const sweeper = newSweeper()
    for (let sweeps = 0; sweeps < 5; sweeps++) await sweeper.sweep()
    expect(await storage.records.findUpload(whole.uploadId)).toMatchObject({ state: 'complete' })
    expect(await storage.records.listCompleting(BATCH + 1)).toHaveLength(BATCH)
  })

  it('repeats a deletion whose response was lost', async () => {
    await storage.storeMedia(10, { lease: { expiresAt: NOW } })
    blobs.faults = [{ verb: 'delete', nth: 1, when: 'after', error: new SealiftError('unavailable', 'Lost') }]
    const sweeper = newSweeper()
    await sweeper.sweep()
    expect(await storage.records.listTombstones(10)).toHaveLength(1)
    expect(await sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
    expect(await storage.records.listTombstones(10)).toEqual([])
  })

  it('sweeps once at a time: who asks meanwhile gets the same sweep', async () => {
    const sweeper = newSweeper()
    const [first, second] = [sweeper.sweep(), sweeper.sweep()]
    expect(await second).toBe(await first)
    expect(log.reports).toHaveLength(1)
  })

  it('sweeps again and again once it is started, until it is disposed', async () => {
    const sweeper = newSweeper({ sweepEveryMs: 2 })
    sweeper.start()
    await expect.poll(() => log.reports.length).toBeGreaterThan(3)
    await sweeper[Symbol.asyncDispose]()
    const count = log.reports.length
    sweeper.start()
    await sweeper.sweep()
    expect(log.reports).toHaveLength(count)
  })

  it('stops between two items when it is disposed', async () => {
    const due = DELETIONS_AT_ONCE + 2
    for (let index = 0; index < due; index++) await storage.storeMedia(10, { lease: { expiresAt: NOW } })
    const { promise: release, resolve } = Promise.withResolvers<void>()
    const slow = createSweeper({
      blobs: {
        ...hold(storage, release),
        [Symbol.asyncDispose]: async () => undefined,
      },
      records: storage.records,
      clock: () => now,
      settings: () => settings,
      events: log,
    })
    const sweeping = slow.sweep()
    await expect.poll(async () => (await storage.records.listTombstones(due)).length).toBe(due)
    const disposed = slow[Symbol.asyncDispose]()
    resolve()
    await disposed
    await sweeping
    expect((await storage.records.listTombstones(10)).length).toBeGreaterThan(0)
    expect(log.failures).toEqual([])
  })

  it('two at once, as in two servers on one store, harm nothing', async () => {
    const kept = await storage.storeMedia(100)
    for (let index = 0; index < 20; index++) await storage.storeMedia(10, { lease: { expiresAt: NOW } })
    await Promise.all([newSweeper().sweep(), newSweeper().sweep()])
    expect(await stored()).toEqual([kept.blobId])
    expect(log.failures).toEqual([])
    expect(await storage.records.auditUsage(false)).toEqual([])
  })

  it('one that slept for an hour finds the world as it is, not as it was', async () => {
    const media = await storage.storeMedia(100, { lease: { expiresAt: NOW + 10 } })
    now = NOW + 10
    const forwarded = await storage.records.addLease({
      fromMediaId: media.mediaId,
      lease: newLease({ clientId: 'bob', createdAt: NOW, expiresAt: LATER }),
      caps: PLENTY,
      idempotency: null,
    })
    await newSweeper().sweep()
    expect(await storage.records.findMedia(forwarded.mediaId)).toMatchObject({ endedAt: null })
    expect((await readBytes(storage.blobs, forwarded, { start: 0, end: 100 })).length).toBe(100)
  })

  it('gives a hundred readers of a media item that expires meanwhile all of its bytes, or an error', async () => {
    const media = await storage.storeMedia(2 ** 20, { lease: { expiresAt: NOW + 10 } })
    const bytes = bytesFor(media.blobId, 2 ** 20)
    const reads = Array.from({ length: 100 }, async () => {
      const sink = new CollectingSink()
      const outcome = await storage.blobs.read(media, { start: 0, end: bytes.length }, sink, steady()).then(
        () => 'all',
        () => 'error',
      )
      return outcome === 'error' || sink.bytes.equals(bytes)
    })
    now = NOW + 10
    await newSweeper().sweep()
    expect(await Promise.all(reads)).not.toContain(false)
    await expect(readBytes(storage.blobs, media, { start: 0, end: 1 })).rejects.toMatchObject({ code: 'damaged' })
  })
})

/** The same store, whose deletions wait. */
function hold({ blobs }: TempStorage, release: Promise<void>) {
  return {
    putPart: blobs.putPart.bind(blobs),
    read: blobs.read.bind(blobs),
    complete: blobs.complete.bind(blobs),
    list: blobs.list.bind(blobs),
    probe: blobs.probe.bind(blobs),
    async delete(blobId: string) {
      await release
      await blobs.delete(blobId)
    },
  }
}
