import type { BlobStore, ChecksBlobs, StoredBlob } from '../blobs/blob-store.ts'
import type { LiveBlob, UploadRecords, UpkeepRecords } from '../records/record-store.ts'

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
