import { truncate } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { BlobAddress, BlobRange } from '../../../src/server/blobs/blob-store.ts'
import { type FileBlobStore, openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { readBytes, storeBlob } from '../../support/blob-bytes.ts'
import { bytesFor } from '../../support/random.ts'
import { type TempDirectory, tempDirectory } from '../../support/temp-directory.ts'

const SIZE = 50_000
const ALL = { start: 0, end: SIZE }
const BYTES = bytesFor('cached', SIZE)

let directory: TempDirectory
let store: FileBlobStore
let blob: BlobAddress

beforeEach(async () => {
  directory = await tempDirectory()
  store = await openFileBlobStore({ directory: directory.path })
  blob = await storeBlob(store, BYTES)
})
afterEach(async () => {
  await store[Symbol.asyncDispose]()
  await directory[Symbol.asyncDispose]()
})

/** A copy of the cached bytes, which are released. */
function tryReadCached(range: BlobRange = ALL): Buffer | null {
  const found = store.tryReadCached(blob.blobId, range)
  if (!found) return null
  const copy = Buffer.from(found.bytes)
  found.release()
  return copy
}

test('bytes are cached once they were read, and only these', async () => {
  expect(tryReadCached()).toBeNull()
  await readBytes(store, blob, ALL)
  expect(tryReadCached()?.equals(BYTES)).toBe(true)
  expect(tryReadCached()?.equals(BYTES)).toBe(true)
  expect(tryReadCached({ start: 1, end: SIZE })).toBeNull()
  await readBytes(store, blob, { start: 7, end: 1007 })
  expect(tryReadCached({ start: 7, end: 1007 })?.equals(BYTES.subarray(7, 1007))).toBe(true)
  expect(tryReadCached()).toBeNull()
})

test('memory that a failed write may still read is not reused', async () => {
  await readBytes(store, blob, ALL)
  const first = store.tryReadCached(blob.blobId, ALL)
  const second = store.tryReadCached(blob.blobId, ALL)
  first?.discard()
  second?.release()
  store.tryReadCached(blob.blobId, ALL)?.bytes.fill(1)
  expect(BYTES.equals(first?.bytes ?? Buffer.alloc(0))).toBe(true)
})

test('nothing is cached of a blob that was deleted, or with a truncated file', async () => {
  await readBytes(store, blob, ALL)
  await truncate(join(directory.path, 'media', blob.blobId.slice(0, 2), blob.blobId), SIZE - 1)
  expect(tryReadCached()).toBeNull()
  await expect(readBytes(store, blob, ALL)).rejects.toMatchObject({ code: 'damaged' })
  await store.delete(blob.blobId)
  expect(tryReadCached()).toBeNull()
})
