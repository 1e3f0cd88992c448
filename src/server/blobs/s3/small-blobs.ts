import type { BlobAddress, BlobId, PartAddress } from '../blob-store.ts'

const CAPACITY = 10_000

/**
 * Blobs whose first part this process has stored, and no other: completing one of them asks the service nothing. What
 * is forgotten, or was stored through another process, is asked for.
 */
export class SmallBlobs {
  /** `null`: it has other parts. The oldest is forgotten first. */
  readonly #sizes = new Map<BlobId, number | null>()

  begun({ blobId, index }: PartAddress): void {
    if (index > 0) this.#set(blobId, null)
    else if (this.#sizes.get(blobId) !== null) this.#sizes.delete(blobId)
  }

  stored({ blobId, index }: PartAddress, sizeBytes: number): void {
    if (index === 0 && this.#sizes.get(blobId) !== null) this.#set(blobId, sizeBytes)
  }

  /** Told once: whoever completes the blob again has a reason to look. */
  takeWhole({ blobId, partBytes }: BlobAddress, sizeBytes: number): boolean {
    const isWhole = sizeBytes > 0 && sizeBytes <= partBytes && this.#sizes.get(blobId) === sizeBytes
    if (isWhole) this.#sizes.delete(blobId)
    return isWhole
  }

  forget(blobId: BlobId): void {
    this.#sizes.delete(blobId)
  }

  #set(blobId: BlobId, sizeBytes: number | null): void {
    const oldest = this.#sizes.size >= CAPACITY ? this.#sizes.keys().next().value : undefined
    if (oldest !== undefined) this.#sizes.delete(oldest)
    this.#sizes.set(blobId, sizeBytes)
  }
}
