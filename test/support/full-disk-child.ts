/**
 * Run as a program, under a limit on the size of any file it writes: what the kernel refuses here it refuses on a full
 * disk. Prints what became of everything as one line of JSON.
 */
import { join } from 'node:path'

import { isSealiftError } from '../../src/protocol/errors.ts'
import { openFileBlobStore } from '../../src/server/blobs/file/blob-store.ts'
import { openSqliteRecordStore } from '../../src/server/records/sqlite/index.ts'
import { readBytes, storeBlob } from './blob-bytes.ts'
import { bytesFor } from './random.ts'
import { completeMedia, LATER, newParcel, NOW } from './record-fixtures.ts'

export interface FullDiskReport {
  readonly largeBlob: string
  readonly smallBlobAfterwards: string
  readonly olderBytesIntact: boolean
  readonly records: string
  readonly olderRecordReadable: boolean
  readonly olderMediaId: string
  readonly olderBlobId: string
}

const OLDER = bytesFor('older', 300_000)

async function main(directory: string): Promise<FullDiskReport> {
  await using blobs = await openFileBlobStore({ directory: join(directory, 'blobs') })
  await using records = await openSqliteRecordStore({ file: join(directory, 'records.db') })
  await records.migrate()
  const olderBlob = await storeBlob(blobs, OLDER)
  const olderMedia = await completeMedia(records, OLDER.length, { blobId: olderBlob.blobId })
  const largeBlob = await codeOf(storeBlob(blobs, bytesFor('large', 4 * 2 ** 20)))
  const smallBlobAfterwards = await codeOf(storeBlob(blobs, bytesFor('small', 1000)))
  const read = await readBytes(blobs, olderBlob, { start: 0, end: OLDER.length })
  return {
    largeBlob,
    smallBlobAfterwards,
    olderBytesIntact: read.equals(OLDER),
    records: await codeOf(fill(records)),
    olderRecordReadable: (await records.findMedia(olderMedia.mediaId))?.state === 'complete',
    olderMediaId: olderMedia.mediaId,
    olderBlobId: olderBlob.blobId,
  }
}

async function fill(records: Awaited<ReturnType<typeof openSqliteRecordStore>>): Promise<void> {
  const claim = { clientId: 'alice', ownerHash: null }
  for (let index = 0; index < 100; index++) {
    const manifest = bytesFor(`manifest ${index}`, 200_000)
    await records.publishParcel(newParcel([], { manifest, createdAt: NOW, expiresAt: LATER }), claim)
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    return isSealiftError(error) ? error.code : String(error)
  }
}

console.log(JSON.stringify(await main(process.argv[2] ?? '')))
