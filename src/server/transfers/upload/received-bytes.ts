/** Received bytes as pull streams: each stage takes a piece only when the next one pulls. */
import { createHash } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'

export type ReceivedBytes = AsyncIterable<Uint8Array>

/** Ends with `digest_mismatch` unless the SHA-256 (base64) of all bytes is `sha256Base64`; hashes as they pass. */
export async function* verifyDigest(source: ReceivedBytes, sha256Base64: string): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const chunk of source) {
    hash.update(chunk)
    yield chunk
  }
  if (hash.digest('base64') !== sha256Base64) {
    throw new SealiftError('digest_mismatch', 'The bytes that arrived are not those of Content-Digest; send them again')
  }
}

/** Smaller pieces are copied together while they are buffered: each would retain an object, and the read it came in. */
const PIECE_BYTES = 4096
const GATHERED_BYTES = 4 * PIECE_BYTES

/**
 * Cuts one source into runs of at most `sizeBytes`, for a media item that arrives in one request and is stored in
 * parts. Each run must be read to its end before the next begins.
 */
export class RunCutter {
  readonly #iterator: AsyncIterator<Uint8Array>
  /** Pulled, not yet returned. */
  readonly #ahead: Uint8Array[] = []
  #aheadBytes = 0
  /** The buffer of small pieces; the last element of `#ahead` is its used part. */
  #gathered: Uint8Array | null = null

  constructor(source: ReceivedBytes) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** True when at least one more byte is there; waits for it. */
  async hasMore(): Promise<boolean> {
    while (this.#aheadBytes === 0) {
      if (!(await this.#pull())) return false
    }
    return true
  }

  /** Pulls to the end of the source and returns its size; `null` as soon as it exceeds `limitBytes`. */
  async lookAhead(limitBytes: number): Promise<number | null> {
    while (this.#aheadBytes <= limitBytes) {
      if (!(await this.#pull(piece => this.#gather(piece)))) return this.#aheadBytes
    }
    return null
  }

  async *run(sizeBytes: number): AsyncGenerator<Uint8Array> {
    let missing = sizeBytes
    while (missing > 0 && (await this.hasMore())) {
      const taken = this.#take(missing)
      missing -= taken.length
      yield taken
    }
  }

  async #pull(keep = (piece: Uint8Array): unknown => this.#ahead.push(piece)): Promise<boolean> {
    const { done, value } = await this.#iterator.next()
    if (done) return false
    if (value.length > 0) keep(value)
    this.#aheadBytes += value.length
    return true
  }

  #gather(piece: Uint8Array): void {
    const used = this.#gathered ? (this.#ahead.at(-1)?.length ?? 0) : 0
    const isSmall = piece.length < PIECE_BYTES
    if (this.#gathered && used + piece.length <= this.#gathered.length) {
      this.#gathered.set(piece, used)
      this.#ahead[this.#ahead.length - 1] = this.#gathered.subarray(0, used + piece.length)
      return
    }
    this.#gathered = isSmall ? new Uint8Array(GATHERED_BYTES) : null
    this.#gathered?.set(piece)
    this.#ahead.push(this.#gathered?.subarray(0, piece.length) ?? piece)
  }

  #take(atMostBytes: number): Uint8Array {
    this.#gathered = null
    const chunk = this.#ahead.shift() ?? new Uint8Array()
    const taken = chunk.subarray(0, atMostBytes)
    if (taken.length < chunk.length) this.#ahead.unshift(chunk.subarray(taken.length))
    this.#aheadBytes -= taken.length
    return taken
  }
}
