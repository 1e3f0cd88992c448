import type { StoredBlob } from '../blob-store.ts'
import type { ObjectNames } from './object-names.ts'
import type { StoredObject } from './s3-service.ts'

/** Sums up the parts of each blob. Names come in order, so those of one blob come one after the other. */
export async function* groupByBlob(
  names: ObjectNames,
  objects: AsyncIterable<StoredObject>,
): AsyncGenerator<StoredBlob> {
  const empty = { blobId: '', complete: null, sizeBytes: 0, modifiedAt: 0 }
  let current: StoredBlob = empty
  for await (const { name, sizeBytes, modifiedAt } of objects) {
    const blobId = names.parse(name)?.blobId
    if (blobId === undefined) continue
    if (current.blobId !== blobId) {
      if (current !== empty) yield current
      current = { ...empty, blobId }
    }
    current = {
      ...current,
      sizeBytes: current.sizeBytes + sizeBytes,
      modifiedAt: Math.max(current.modifiedAt, modifiedAt),
    }
  }
  if (current !== empty) yield current
}
