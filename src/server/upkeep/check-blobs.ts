import type { BlobStore, ChecksBlobs, StoredBlob } from '../blobs/blob-store.ts'
import type { UpkeepRecords, UploadRecords } from '../records/record-store.ts'
import type { LiveBlob } from '../records/record-types.ts'

/** Blobs read from the records in one step. */
const PAGE = 500

/** A live blob beside what the store holds of it. */
export interface CheckedBlob {
  readonly blob: LiveBlob
  /** The least that must be there: all of it when complete, else its durable parts, as the store measures them. */
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

/** Every blob that must be readable, and what is there of it. One that went meanwhile is left out. */
export async function* checkBlobs(deps: CheckBlobs, signal: AbortSignal): AsyncGenerator<CheckedBlob> {
  let after: string | null = null
  for (;;) {
    const page: readonly LiveBlob[] = await deps.records.listLiveBlobs(after, PAGE)
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

/** What is there of one blob. */
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

/** It may have been deleted between the question to the records and the one to the store. */
async function isStillLive({ records }: CheckBlobs, { blobId }: LiveBlob): Promise<boolean> {
  // A text without its last letter comes just before itself.
  const [found] = await records.listLiveBlobs(blobId.slice(0, -1), 1)
  return found?.blobId === blobId
}

/**
 * Bytes beside those of a complete blob: parts past its end, which an address for direct transfer may still bring when
 * the upload is over already. Nobody is charged for them and nothing reads them. A file that is longer than its media
 * has no such parts, and stays as it is.
 */
export function surplusOf({ measures }: ChecksBlobs, { blob, expectedBytes, stored }: CheckedBlob): number {
  if (measures !== 'sum' || blob.state !== 'complete') return 0
  return Math.max(0, (stored?.sizeBytes ?? 0) - expectedBytes)
}

/** Harmless beside whatever else happens to the blob. @throws damaged, when the surplus has hidden that a part is not right */
export async function deleteSurplus(blobs: BlobStore, { blob, expectedBytes }: CheckedBlob): Promise<void> {
  await blobs.complete(blob, expectedBytes)
}

/** Blobs asked about in one question. */
const QUESTION = 500
/** What one pass deletes at most: bounds its memory; the next pass goes on. */
const ORPHANS_PER_PASS = 10_000

export interface FoundOrphans {
  readonly orphans: readonly StoredBlob[]
  /** Blobs in the store, known or not. */
  readonly blobs: number
}

/**
 * Finds stored bytes that no record knows and that are older than the grace time. The record of an upload is made
 * before its bytes, so what has no record now never gets one.
 */
export async function findOrphans(
  { blobs, records }: { blobs: BlobStore; records: UpkeepRecords },
  modifiedBefore: number,
  signal: AbortSignal,
): Promise<FoundOrphans> {
  const orphans: StoredBlob[] = []
  let asking: StoredBlob[] = []
  let count = 0
  const ask = async () => {
    const known = await records.knownBlobs(asking.map(blob => blob.blobId))
    orphans.push(...asking.filter(blob => !known.has(blob.blobId)))
    asking = []
  }
  for await (const blob of blobs.list(signal)) {
    count += 1
    if (blob.modifiedAt < modifiedBefore) asking.push(blob)
    if (asking.length >= QUESTION) await ask()
    if (orphans.length >= ORPHANS_PER_PASS) break
  }
  await ask()
  return { orphans, blobs: count }
}

/** Below this many orphans there is nothing strange about them. */
const UNSUSPICIOUS_ORPHANS = 100

/** More likely the records were lost (a new or an old database beside an old store) than that many deletions. */
export function lookSuspicious({ orphans, blobs }: FoundOrphans): boolean {
  return orphans.length > UNSUSPICIOUS_ORPHANS && orphans.length > blobs / 2
}
