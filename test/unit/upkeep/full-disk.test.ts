import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { openSqliteRecordStore } from '../../../src/server/records/sqlite/index.ts'
import { readBytes, storeBlob } from '../../support/blob-bytes.ts'
import type { FullDiskReport } from '../../support/full-disk-child.ts'
import { bytesFor } from '../../support/random.ts'
import { completeMedia } from '../../support/record-fixtures.ts'
import { type TempDirectory, tempDirectory } from '../../support/temp-directory.ts'

const CHILD = join(import.meta.dirname, '../../support/full-disk-child.ts')
/** In blocks of 512 bytes: a mebibyte. The signal would end the process before it could see the error. */
const LIMITED = 'trap "" XFSZ; ulimit -f 2048; exec "$0" "$@"'

describe('when the kernel takes no more bytes', () => {
  let directory: TempDirectory
  beforeEach(async () => {
    directory = await tempDirectory()
  })
  afterEach(async () => {
    await directory[Symbol.asyncDispose]()
  })

  it('says so, keeps and serves what was stored before, and goes on when there is room again', async () => {
    const { stdout } = await promisify(execFile)('sh', ['-c', LIMITED, process.execPath, CHILD, directory.path])
    const report = JSON.parse(stdout) as FullDiskReport
    expect(report).toMatchObject({
      // A limit on the size of one file, and no full disk.
      largeBlob: 'too_large',
      smallBlobAfterwards: 'done',
      olderBytesIntact: true,
      olderRecordReadable: true,
    })
    expect(['storage_full', 'unavailable']).toContain(report.records)

    await using blobs = await openFileBlobStore({ directory: join(directory.path, 'blobs') })
    await using records = await openSqliteRecordStore({ file: join(directory.path, 'records.db') })
    await records.migrate()
    expect(await records.findMedia(report.olderMediaId)).toMatchObject({ state: 'complete', sizeBytes: 300_000 })
    const older = { blobId: report.olderBlobId, partBytes: 256 * 1024 }
    const read = await readBytes(blobs, older, { start: 0, end: 300_000 })
    expect(read.equals(bytesFor('older', 300_000))).toBe(true)
    await storeBlob(blobs, bytesFor('large', 4 * 2 ** 20))
    await completeMedia(records, 10)
    expect(await records.auditUsage(false)).toEqual([])
  })
})
