/**
 * One life of a server's storage, as the verbs live it: uploads in parts and in one piece, forwarding, deleting, giving
 * up, sweeping. It may be stopped before any step; `auditAfterCrash` then holds what was acknowledged against what is
 * there, and lets time pass until nothing may be left.
 */
import { expect } from 'vitest'

import type { RecordStore } from '../../src/server/index.ts'
import type { FileBlobStore } from '../../src/server/blobs/file/blob-store.ts'
import type { MediaRecord } from '../../src/server/records/record-types.ts'
import { recover } from '../../src/server/upkeep/finish-uploads.ts'
import { createSweeper, type Sweeper } from '../../src/server/upkeep/sweeper.ts'
import type { UpkeepEvents } from '../../src/server/upkeep/upkeep-events.ts'
import { piecesOf, readBytes, steady } from './blob-bytes.ts'
import { bytesFor } from './random.ts'
import { newLease, newUpload, NOW, PLENTY } from './record-fixtures.ts'

const PART_BYTES = 10_000
const ALICE = { clientId: 'alice', ownerHash: null }
/** Long after everything has expired and every grace time is over. */
const MUCH_LATER = NOW + 10 * 365 * 86_400_000
const CONTENTS = {
  'in parts': bytesFor('in parts', 2 * PART_BYTES + 345),
  'in one piece': bytesFor('in one piece', 7000),
}
const CONTENT = CONTENTS['in parts']
const WHOLE = CONTENTS['in one piece']

/** What was acknowledged, by media id; `null` once an end was asked for: then either state is right. */
export interface Promises {
  readonly parts: Map<string, Set<number>>
  readonly complete: Map<string, keyof typeof CONTENTS | null>
}

export const noPromises = (): Promises => ({ parts: new Map(), complete: new Map() })

export interface Storage {
  readonly blobs: FileBlobStore
  readonly records: RecordStore
}

export async function liveOnce(storage: Storage, promises: Promises): Promise<void> {
  const inParts = await uploadInParts(storage, promises)
  await uploadWhole(storage, promises)
  await giveUpOne(storage)
  const forwarded = await storage.records.addLease({
    fromMediaId: inParts.mediaId,
    lease: newLease({ clientId: 'bob' }),
    caps: PLENTY,
    idempotency: null,
  })
  promises.complete.set(forwarded.mediaId, 'in parts')
  promises.complete.set(inParts.mediaId, null)
  await storage.records.endLease(inParts.mediaId, ALICE, NOW)
  promises.complete.set(forwarded.mediaId, null)
  await storage.records.endLease(forwarded.mediaId, { clientId: 'bob', ownerHash: null }, NOW)
  await using sweeper = sweeperAt(storage, NOW)
  await sweeper.sweep()
}

async function uploadInParts({ blobs, records }: Storage, promises: Promises): Promise<MediaRecord> {
  const upload = await records.beginUpload(newUpload({ partBytes: PART_BYTES }))
  const stored = new Set<number>()
  promises.parts.set(upload.mediaId, stored)
  const put = async (index: number) => {
    const part = partOf(CONTENT, index)
    await records.reservePart(upload.uploadId, { index, sizeBytes: part.length }, PLENTY)
    await blobs.putPart({ ...upload, index, sizeBytes: part.length }, piecesOf(part, 4000), steady())
    await records.recordPart(upload.uploadId, { index, sizeBytes: part.length }, upload.expiresAt)
    stored.add(index)
  }
  await Promise.all([put(1), put(0)])
  await put(2)
  await records.finalizeUpload(upload.uploadId, CONTENT.length)
  await blobs.complete(upload, CONTENT.length)
  const media = await records.finishUpload(upload.uploadId, NOW)
  promises.complete.set(media.mediaId, 'in parts')
  return media
}

async function uploadWhole({ blobs, records }: Storage, promises: Promises): Promise<void> {
  const upload = await records.beginUpload(newUpload({ partBytes: PART_BYTES, declaredBytes: WHOLE.length }))
  await blobs.putPart({ ...upload, index: 0, sizeBytes: WHOLE.length }, piecesOf(WHOLE), steady())
  await blobs.complete(upload, WHOLE.length)
  const media = await records.finishInOneStep(upload.uploadId, { sizeBytes: WHOLE.length, caps: PLENTY, now: NOW })
  promises.complete.set(media.mediaId, 'in one piece')
}

async function giveUpOne({ blobs, records }: Storage): Promise<void> {
  const upload = await records.beginUpload(newUpload({ partBytes: PART_BYTES }))
  await records.reservePart(upload.uploadId, { index: 0, sizeBytes: 5 }, PLENTY)
  await blobs.putPart({ ...upload, index: 0, sizeBytes: 5 }, piecesOf(Buffer.from('bytes')), steady())
  await records.abortUpload(upload.uploadId, NOW)
}

const partOf = (bytes: Uint8Array, index: number) => bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES)

/**
 * Restarts on what a crash left. Fails when a promise is broken, anything is half complete, or anything stays for
 * ever.
 */
export async function auditAfterCrash(storage: Storage, promises: Promises): Promise<void> {
  await recover({ ...storage, clock: () => NOW, events: failOnEvents }, steady())
  expect(await storage.records.listCompleting(10)).toEqual([])
  for (const [mediaId, indices] of promises.parts) await auditParts(storage, mediaId, indices)
  for (const [mediaId, name] of promises.complete) await auditMedia(storage, mediaId, name && CONTENTS[name])
  expect(await storage.records.auditUsage(false)).toEqual([])
  await expectNothingInTheEnd(storage)
}

async function auditParts({ blobs, records }: Storage, mediaId: string, indices: ReadonlySet<number>): Promise<void> {
  const media = await records.findMedia(mediaId)
  if (!media || media.endedAt !== null) return
  const durable = (await records.listParts(media.blobId)).filter(part => part.durable).map(part => part.index)
  expect(durable).toEqual(expect.arrayContaining([...indices]))
  for (const index of durable) {
    const start = index * PART_BYTES
    const expected = partOf(CONTENT, index)
    const read = await readBytes(blobs, media, { start, end: start + expected.length })
    expect(read.equals(expected), `part ${index}`).toBe(true)
  }
}

async function auditMedia({ blobs, records }: Storage, mediaId: string, bytes: Uint8Array | null): Promise<void> {
  const media = await records.findMedia(mediaId)
  if (bytes !== null) expect(media).toMatchObject({ state: 'complete', endedAt: null, sizeBytes: bytes.length })
  if (!media || media.endedAt !== null || media.state !== 'complete') return
  const read = await readBytes(blobs, media, { start: 0, end: media.sizeBytes ?? 0 })
  expect(read.equals(bytes ?? CONTENT)).toBe(true)
}

async function expectNothingInTheEnd(storage: Storage): Promise<void> {
  await using sweeper = sweeperAt(storage, MUCH_LATER)
  await sweeper.sweep()
  await using last = sweeperAt(storage, 2 * MUCH_LATER)
  await last.sweep()
  for await (const blob of storage.blobs.list(steady())) expect.fail(`left in the store: ${blob.blobId}`)
  const nothing = { blobs: 0, reservedBytes: 0, pendingUploads: 0, leases: 0, parcels: 0, tombstones: 0 }
  expect(await storage.records.totals()).toMatchObject(nothing)
  expect(await storage.records.usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
}

function sweeperAt(storage: Storage, now: number): Sweeper {
  const settings = { sweepEveryMs: 60_000, orphanGraceMs: 3_600_000, keepEndedMs: 86_400_000 }
  return createSweeper({ ...storage, clock: () => now, settings: () => settings, events: failOnEvents })
}

/** Nothing in these lives is an event that a person would have to look at. */
const failOnEvents: UpkeepEvents = {
  swept: () => undefined,
  orphanDeleted: () => undefined,
  failed(task, error) {
    throw new Error(`${task} failed`, { cause: error })
  },
  bytesMissing(blob) {
    throw new Error(`bytes are missing of ${blob.blobId}`)
  },
  orphansSuspicious() {
    throw new Error('orphans look suspicious')
  },
}
