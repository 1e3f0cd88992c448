import type { BlobStore, ChecksBlobs, StoredBlob } from '../blobs/blob-store.ts'
import type { UpkeepRecords, UploadRecords } from '../records/record-store.ts'
import type { LiveBlob } from '../records/record-types.ts'

/** Live blobs per query. */
const PAGE = 500

/** A live blob and what the store has of it. */
export interface CheckedBlob {
  readonly blob: LiveBlob
  /** The bytes that must be there: all of a complete blob, else its durable parts, as the store measures them. */
  readonly expectedBytes: number
  readonly stored: StoredBlob | null
}

export interface CheckBlobs {
  readonly blobs: BlobStore & ChecksBlobs
  readonly records: UploadRecords & UpkeepRecords
}

export function canCheck(blobs: BlobStore): blobs is BlobStore & ChecksBlobs {
  return 'stat' in blobs && 'measures' in blobs
}

/** Every blob that must be readable, and what the store has of it, without blobs that were deleted meanwhile. */
export async function* checkBlobs(deps: CheckBlobs, signal: AbortSignal): AsyncGenerator<CheckedBlob> {
  let after: string | null = null
  for (;;) {
    const page: readonly LiveBlob[] = await deps.records.listLiveBlobs(after, PAGE, signal)
    for (const blob of page) {
      signal.throwIfAborted()
      const checked = await checkBlob(deps, blob)
      if (!lacksBytes(checked) || (await isStillLive(deps, blob))) yield checked
    }
    const last = page.at(-1)
    if (!last || page.length < PAGE) return
    after = last.blobId
  }
}

export function lacksBytes({ stored, expectedBytes }: CheckedBlob): boolean {
  return (stored?.sizeBytes ?? 0) < expectedBytes
}

/** Compares one blob. */
export async function checkBlob({ blobs, records }: CheckBlobs, blob: LiveBlob): Promise<CheckedBlob> {
  const expectedBytes = blob.state === 'uploading' ? await durableBytes(records, blobs, blob) : (blob.sizeBytes ?? 0)
  return { blob, expectedBytes, stored: await blobs.stat(blob.blobId) }
}

/** Parts may have arrived in any order. */
async function durableBytes(
  records: UploadRecords,
  { measures }: ChecksBlobs,
  { blobId, partBytes }: LiveBlob,
): Promise<number> {
  const parts = (await records.listParts(blobId)).filter(part => part.durable)
  if (measures === 'sum') return parts.reduce((sum, part) => sum + part.sizeBytes, 0)
  const last = parts.at(-1)
  return last ? last.index * partBytes + last.sizeBytes : 0
}

/** It may have been deleted between the query of the records and the request to the store. */
async function isStillLive({ records }: CheckBlobs, { blobId }: LiveBlob): Promise<boolean> {
  // The id without its last letter sorts just before the id.
  const [found] = await records.listLiveBlobs(blobId.slice(0, -1), 1)
  return found?.blobId === blobId
}

/**
 * Bytes of parts past the end of a complete blob, which a presigned URL may bring after the upload is finished. No
 * client is charged for them and nothing reads them. A file that is longer than its blob has no such parts, and stays
 * unchanged.
 */
export function unusedBytesOf({ measures }: ChecksBlobs, { blob, expectedBytes, stored }: CheckedBlob): number {
  if (measures !== 'sum' || blob.state !== 'complete') return 0
  return Math.max(0, (stored?.sizeBytes ?? 0) - expectedBytes)
}

/** Safe beside any other change of the blob. @throws damaged, when the extra bytes have hidden a missing part */
export async function deleteUnusedParts(blobs: BlobStore, { blob, expectedBytes }: CheckedBlob): Promise<void> {
  await blobs.complete(blob, expectedBytes)
}

/** Blobs per query. */
const ORPHAN_QUERY = 500
/** Most orphans of one pass: bounds its memory; the next pass continues. */
const ORPHANS_PER_PASS = 10_000

export interface FoundOrphans {
  readonly orphans: readonly StoredBlob[]
  /** Blobs in the store, known or not. */
  readonly blobs: number
}

/**
 * Finds stored bytes without a record that are older than the grace time. The record of an upload is created before its
 * bytes, so bytes without a record now never get one.
 */
export async function findOrphans(
  { blobs, records }: { blobs: BlobStore; records: UpkeepRecords },
  modifiedBefore: number,
  signal: AbortSignal,
): Promise<FoundOrphans> {
  const orphans: StoredBlob[] = []
  let unchecked: StoredBlob[] = []
  let count = 0
  const check = async () => {
    const known = await records.knownBlobs(
      unchecked.map(blob => blob.blobId),
      signal,
    )
    orphans.push(...unchecked.filter(blob => !known.has(blob.blobId)))
    unchecked = []
  }
  for await (const blob of blobs.list(signal)) {
    count += 1
    if (blob.modifiedAt < modifiedBefore) unchecked.push(blob)
    if (unchecked.length >= ORPHAN_QUERY) await check()
    if (orphans.length >= ORPHANS_PER_PASS) break
  }
  await check()
  return { orphans, blobs: count }
}

/** Up to this many orphans are not suspicious. */
const UNSUSPICIOUS_ORPHANS = 100

/** A new or an old database beside this store is likelier than that many orphans. */
export function lookSuspicious({ orphans, blobs }: FoundOrphans): boolean {
  return orphans.length > UNSUSPICIOUS_ORPHANS && orphans.length > blobs / 2
}
