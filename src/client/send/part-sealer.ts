import { SealiftError } from '../../protocol/errors.ts'
import { HEADER_BYTES, isSealingError, plainCapacity, TAG_BYTES } from '../../sealing/index.ts'
import type { Bytes, Sealer } from '../../sealing/index.ts'
import { release } from '../bytes/buffers.ts'

/**
 * Seals plaintext part by part; a part is a whole number of chunks, the first one with the header. A part is sealed in
 * place: its plaintext is so far behind the beginning of the buffer that the sealed bytes, which are longer, never
 * overwrite it.
 */
export class PartSealer {
  readonly #sealer: Sealer
  readonly #chunksPerPart: number

  constructor(sealer: Sealer, partBytes: number) {
    this.#sealer = sealer
    this.#chunksPerPart = Math.floor(partBytes / sealer.chunkBytes)
  }

  /** Plaintext bytes of part `index` unless it is the last. */
  plainBytes(index: number): number {
    return this.#chunksPerPart * this.#sealer.chunkBytes - this.plainOffset(index)
  }

  /** Where the plaintext of part `index` begins in its buffer. */
  plainOffset(index: number): number {
    return this.#headerBytes(index) + this.#chunksPerPart * TAG_BYTES
  }

  /** The place for the plaintext of part `index` in a buffer of the size of a part. */
  plainRoom(index: number, buffer: Bytes): Bytes {
    const start = this.plainOffset(index)
    return buffer.subarray(start, start + this.plainBytes(index))
  }

  /**
   * Seals the plaintext at `plainOffset`; the result is the beginning of `buffer`.
   * @throws file_changed when other bytes were sealed as this part before
   */
  async seal(index: number, buffer: Bytes, plain: { readonly bytes: number; readonly last: boolean }): Promise<Bytes> {
    const { chunkBytes, suite, header } = this.#sealer
    const pending: Promise<void>[] = []
    let from = this.plainOffset(index)
    const end = from + plain.bytes
    let to = this.#headerBytes(index)
    let chunk = index * this.#chunksPerPart
    // An empty plaintext is a chunk too.
    do {
      const piece = buffer.subarray(from, Math.min(end, from + plainCapacity(chunk, chunkBytes)))
      from += piece.byteLength
      const target = buffer.subarray(to, to + piece.byteLength + TAG_BYTES)
      to += target.byteLength
      const sealing = this.#sealChunk(chunk, { piece, last: plain.last && from === end, target })
      if (sealing) pending.push(sealing)
      if (pending.length >= suite.parallel) await pending.shift()
      chunk += 1
    } while (from < end)
    await Promise.all(pending)
    if (index === 0) buffer.set(header)
    return buffer.subarray(0, to)
  }

  #headerBytes(index: number): number {
    return index === 0 ? HEADER_BYTES : 0
  }

  #sealChunk(chunk: number, { piece, last, target }: ChunkToSeal): Promise<void> | undefined {
    const put = (sealed: Bytes): void => {
      target.set(sealed)
      release(sealed)
    }
    try {
      const sealed = this.#sealer.sealChunk(chunk, piece, last)
      if (sealed instanceof Promise) return sealed.then(put, rethrow)
      put(sealed)
      return undefined
    } catch (error) {
      return rethrow(error)
    }
  }
}

interface ChunkToSeal {
  readonly piece: Bytes
  readonly last: boolean
  readonly target: Bytes
}

function rethrow(error: unknown): never {
  if (!isSealingError(error, 'source_changed')) throw error
  throw new SealiftError('file_changed', 'The file changed while it was being sent: send it again', { cause: error })
}
