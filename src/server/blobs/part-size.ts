/** How many bytes a part must hold, and whether it does: before it is received, and while it arrives. */
import { SealiftError } from '../../protocol/errors.ts'
import type { PartAddress } from './blob-store.ts'

export interface BlobSize {
  readonly partBytes: number
  readonly sizeBytes: number
}

/** Every part has `partBytes`, the last one the rest. Zero or less past the end. */
export function partBytesAt({ partBytes, sizeBytes }: BlobSize, index: number): number {
  return Math.min(partBytes, sizeBytes - index * partBytes)
}

/**
 * Checks the announced size of a part. @param totalBytes the declared size of the upload; `null`: unknown
 * @throws too_large, size_mismatch
 */
export function assertPartFits(
  { partBytes, totalBytes }: { readonly partBytes: number; readonly totalBytes: number | null },
  { index, sizeBytes }: { readonly index: number; readonly sizeBytes: number },
): void {
  if (sizeBytes > partBytes) {
    throw new SealiftError('too_large', `A part of this upload holds at most ${partBytes} bytes`, {
      context: { limit: 'partBytes', value: partBytes },
    })
  }
  if (totalBytes === null) return
  const expectedBytes = partBytesAt({ partBytes, sizeBytes: totalBytes }, index)
  if (sizeBytes === expectedBytes) return
  const message =
    expectedBytes > 0
      ? `Part ${index} of an upload of ${totalBytes} bytes holds ${expectedBytes} bytes, not ${sizeBytes}`
      : `An upload of ${totalBytes} bytes has no part ${index}`
  throw new SealiftError('size_mismatch', message, { context: { sizeBytes: totalBytes } })
}

/** Counts the bytes of a part as they arrive. */
export class ReceivedSize {
  readonly #part: PartAddress
  #bytes = 0

  constructor(part: PartAddress) {
    this.#part = part
  }

  get bytes(): number {
    return this.#bytes
  }

  /** @throws size_mismatch as soon as there are too many */
  add(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > (this.#part.sizeBytes ?? this.#part.partBytes)) throw this.#mismatch()
  }

  /** @throws size_mismatch when bytes are missing */
  assertComplete(): void {
    const { sizeBytes } = this.#part
    if (sizeBytes === null ? this.#bytes === 0 : this.#bytes !== sizeBytes) throw this.#mismatch()
  }

  #mismatch(): SealiftError {
    const { index, sizeBytes, partBytes } = this.#part
    const expected = sizeBytes === null ? `1 to ${partBytes}` : String(sizeBytes)
    return new SealiftError('size_mismatch', `Part ${index} must hold ${expected} bytes, but other bytes arrived`)
  }
}
