import type { BlobStore, ChecksBlobs } from '../blobs/blob-store.ts'
import type { CheckedBlob } from './check-blobs.ts'

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
