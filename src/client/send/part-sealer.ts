import { SealiftError } from '../../protocol/errors.ts'
import { chunkCount, HEADER_BYTES, isSealingError, plainCapacity, TAG_BYTES } from '../../sealing/index.ts'
import type { Sealer } from '../../sealing/index.ts'

/** Seals plaintext part by part; a part is a whole number of chunks, the first one with the header. */
export class PartSealer {
  readonly #sealer: Sealer
  readonly #chunksPerPart: number

  constructor(sealer: Sealer, partBytes: number) {
    this.#sealer = sealer
    this.#chunksPerPart = Math.floor(partBytes / sealer.chunkBytes)
  }

  /** Plaintext bytes of part `index` unless it is the last. */
  plainBytes(index: number): number {
    const perChunk = this.#sealer.chunkBytes - TAG_BYTES
    return this.#chunksPerPart * perChunk - (index === 0 ? HEADER_BYTES : 0)
  }

  /** @throws file_changed when other bytes were sealed as this part before */
  async seal(index: number, plain: Uint8Array, last: boolean): Promise<Uint8Array<ArrayBuffer>> {
    const { header } = this.#sealer
    const headerBytes = index === 0 ? header.byteLength : 0
    const sealed = new Uint8Array(headerBytes + this.#sealedBytes(index, plain.byteLength))
    if (index === 0) sealed.set(header)
    await this.#sealChunks({ index, plain, last, target: sealed.subarray(headerBytes) })
    return sealed
  }

  #sealedBytes(index: number, plainBytes: number): number {
    const { chunkBytes } = this.#sealer
    // As if the part were not the first: the header takes the place of as many plaintext bytes.
    const chunks = index === 0 ? chunkCount(plainBytes, chunkBytes) : Math.ceil(plainBytes / (chunkBytes - TAG_BYTES))
    return plainBytes + chunks * TAG_BYTES
  }

  async #sealChunks(part: { index: number; plain: Uint8Array; last: boolean; target: Uint8Array }): Promise<void> {
    const { chunkBytes, suite } = this.#sealer
    const pending: Promise<void>[] = []
    let plainAt = 0
    let sealedAt = 0
    for (let chunk = part.index * this.#chunksPerPart; sealedAt < part.target.byteLength; chunk += 1) {
      const plain = part.plain.subarray(plainAt, plainAt + plainCapacity(chunk, chunkBytes))
      plainAt += plain.byteLength
      const target = part.target.subarray(sealedAt, sealedAt + plain.byteLength + TAG_BYTES)
      sealedAt += target.byteLength
      const last = part.last && plainAt === part.plain.byteLength
      const sealing = this.#sealChunk(chunk, { plain, last, target })
      if (sealing) pending.push(sealing)
      if (pending.length >= suite.parallel) await pending.shift()
    }
    await Promise.all(pending)
  }

  #sealChunk(
    chunk: number,
    { plain, last, target }: { plain: Uint8Array; last: boolean; target: Uint8Array },
  ): Promise<void> | undefined {
    try {
      const sealed = this.#sealer.sealChunk(chunk, plain, last)
      if (!(sealed instanceof Promise)) return void target.set(sealed)
      return sealed.then(bytes => target.set(bytes), rethrow)
    } catch (error) {
      return rethrow(error)
    }
  }
}

function rethrow(error: unknown): never {
  if (!isSealingError(error, 'source_changed')) throw error
  throw new SealiftError('file_changed', 'The file changed while it was being sent: send it again', { cause: error })
}
