import { appendFile, mkdir, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import type { BlobStore, ChecksBlobs } from '../../../src/server/blobs/blob-store.ts'
import { checkConsistency } from '../../../src/server/upkeep/check-consistency.ts'
import { readBytes, steady, storeBlob } from '../../support/blob-bytes.ts'
import { FaultyBlobStore } from '../../support/faulty-blob-store.ts'
import { bytesFor } from '../../support/random.ts'
import { NOW } from '../../support/record-fixtures.ts'
import { type TempStorage, tempStorage } from '../../support/temp-storage.ts'

describe('fsck', () => {
  let storage: TempStorage
  beforeEach(async () => {
    storage = await tempStorage()
  })
  afterEach(async () => {
    await storage[Symbol.asyncDispose]()
  })
  const check = (repair = false, blobs: BlobStore & ChecksBlobs = storage.blobs, force = false) =>
    checkConsistency({ blobs, records: storage.records, repair, force, modifiedBefore: NOW }, steady())
  const orphan = async () => {
    const { blobId } = await storeBlob(storage.blobs, bytesFor('orphan', 123))
    await storage.ageFile(blobId, NOW - 1)
    return blobId
  }
  /** Undoes the move that completes a blob. */
  const misplace = async (blobId: string) => {
    await mkdir(dirname(storage.fileOf(blobId, 'uploads')), { recursive: true })
    await rename(storage.fileOf(blobId), storage.fileOf(blobId, 'uploads'))
  }

  it('finds nothing wrong where nothing is', async () => {
    await storage.storeMedia(1000)
    await storage.storeParts({ 2: 100, 0: 100 })
    await storage.storeParts({})
    expect(await check()).toEqual({
      ok: true,
      checkedBlobs: 3,
      storedBlobs: 2,
      youngUnknown: 0,
      findings: [],
      wrongCharges: [],
      heldBack: [],
    })
  })

  it('finds what is missing, short, surplus, misplaced and orphaned, and changes nothing', async () => {
    const media = [1, 2, 3, 4, 5].map(async index => storage.storeMedia(1000 + index))
    const [missing, short, surplus, misplaced] = (await Promise.all(media)).map(({ blobId }) => blobId)
    if (!missing || !short || !surplus || !misplaced) throw new Error('nothing was stored')
    const upload = await storage.storeParts({ 0: 100, 3: 60 })
    await storage.removeFile(missing)
    await storage.cutFile(short, 1)
    await appendFile(storage.fileOf(surplus), 'more')
    await misplace(misplaced)
    await rename(storage.fileOf(upload.blobId, 'uploads'), `${storage.directory}/lost`)
    const unknown = await orphan()
    const expected = [
      { kind: 'missing', blobId: missing, expectedBytes: 1001, storedBytes: null, repaired: false },
      { kind: 'short', blobId: short, expectedBytes: 1002, storedBytes: 1, repaired: false },
      { kind: 'surplus', blobId: surplus, expectedBytes: 1003, storedBytes: 1007, repaired: false },
      { kind: 'misplaced', blobId: misplaced, expectedBytes: 1004, storedBytes: 1004, repaired: false },
      { kind: 'missing', blobId: upload.blobId, expectedBytes: 360, storedBytes: null, repaired: false },
      { kind: 'orphan', blobId: unknown, expectedBytes: null, storedBytes: 123, repaired: false },
    ]
    for (let round = 0; round < 2; round++) {
      const report = await check()
      expect(report.ok).toBe(false)
      expect(report.findings).toHaveLength(expected.length)
      expect(report.findings).toEqual(expect.arrayContaining(expected))
    }
  })

  it('repairs what can be repaired', async () => {
    const { blobId, mediaId } = await storage.storeMedia(1000)
    await misplace(blobId)
    const unknown = await orphan()
    const report = await check(true)
    expect(report).toMatchObject({
      ok: true,
      findings: [
        { kind: 'misplaced', repaired: true },
        { kind: 'orphan', repaired: true },
      ],
    })
    expect(await check()).toMatchObject({ ok: true, findings: [] })
    expect(await storage.blobs.stat(blobId)).toMatchObject({ complete: true })
    expect(await storage.blobs.stat(unknown)).toBeNull()
    const media = await storage.records.findMedia(mediaId)
    expect((await readBytes(storage.blobs, media ?? { blobId, partBytes: 1 }, { start: 0, end: 1000 })).length).toBe(
      1000,
    )
  })

  it('ends media whose bytes are gone, and what they are charged, when it is to repair', async () => {
    const whole = await Promise.all([1, 2, 3].map(async index => storage.storeMedia(1000 + index)))
    const missing = await storage.storeMedia(5000)
    const upload = await storage.storeParts({ 0: 100, 1: 50 })
    await storage.removeFile(missing.blobId)
    await rename(storage.fileOf(upload.blobId, 'uploads'), `${storage.directory}/lost`)
    const report = await check(true)
    expect(report).toMatchObject({ ok: true, wrongCharges: [], heldBack: [] })
    expect(report.findings.map(({ kind, repaired }) => [kind, repaired])).toEqual([
      ['missing', true],
      ['missing', true],
    ])
    for (const { mediaId } of [missing, upload]) {
      expect((await storage.records.findMedia(mediaId))?.endedAt).toBeGreaterThan(0)
    }
    for (const { mediaId } of whole) expect(await storage.records.findMedia(mediaId)).toMatchObject({ endedAt: null })
    expect(await storage.records.usage('alice')).toMatchObject({
      storedBytes: 3006,
      reservedBytes: 0,
      pendingUploads: 0,
    })
    expect(await check()).toMatchObject({ ok: true, findings: [] })
  })

  it('holds back when most media lack bytes, as in the wrong folder, unless it is forced', async () => {
    const { blobId, mediaId } = await storage.storeMedia(1000)
    await storage.removeFile(blobId)
    const held = { ok: false, heldBack: ['lacking'], findings: [{ kind: 'missing', repaired: false }] }
    expect(await check(true)).toMatchObject(held)
    expect(await storage.records.findMedia(mediaId)).toMatchObject({ endedAt: null })
    expect(await check(true, storage.blobs, true)).toMatchObject({ ok: true, heldBack: [] })
    expect(await storage.records.findMedia(mediaId)).not.toMatchObject({ endedAt: null })
  })

  it('holds back when most bytes have no record, as with a new database, unless it is forced', async () => {
    for (let index = 0; index < 101; index += 1) await orphan()
    const report = await check(true)
    expect(report).toMatchObject({ ok: false, heldBack: ['orphans'] })
    expect(report.findings.filter(({ repaired }) => repaired)).toEqual([])
    expect(await check(true, storage.blobs, true)).toMatchObject({ ok: true, heldBack: [] })
    expect(await check()).toMatchObject({ ok: true, storedBlobs: 0 })
  })

  it('takes a surplus for harmless', async () => {
    const { blobId } = await storage.storeMedia(1000)
    await appendFile(storage.fileOf(blobId), 'more')
    expect(await check()).toMatchObject({ ok: true, findings: [{ kind: 'surplus' }] })
  })

  it('leaves young files alone', async () => {
    await storeBlob(storage.blobs, bytesFor('young', 5))
    const report = await checkConsistency({ ...storage, repair: true, modifiedBefore: Date.now() - 60_000 }, steady())
    expect(report).toMatchObject({ ok: true, storedBlobs: 1, youngUnknown: 1, findings: [] })
  })

  it('says what it could not repair', async () => {
    await orphan()
    const blobs = new FaultyBlobStore(storage.blobs, [{ verb: 'delete', error: new SealiftError('unavailable', 'No') }])
    expect(await check(true, blobs)).toMatchObject({ ok: false, findings: [{ kind: 'orphan', repaired: false }] })
  })

  it('stops when it is aborted', async () => {
    await storage.storeMedia(10)
    const reason = new Error('enough')
    const checking = checkConsistency({ ...storage, repair: false, modifiedBefore: NOW }, AbortSignal.abort(reason))
    await expect(checking).rejects.toBe(reason)
  })
})
