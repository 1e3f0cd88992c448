import type { BlobStore, StoredBlob } from '../blobs/blob-store.ts'
import type { UpkeepRecords } from '../records/record-store.ts'

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
