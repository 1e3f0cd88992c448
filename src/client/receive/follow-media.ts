import { isSealiftError } from '../../protocol/errors.ts'
import { createOpener, HEADER_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import { readAll } from '../wire/http.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { openingKey } from './media-reader.ts'
import type { SealedMediaInfo } from './media-reader.ts'
import type { MediaSource } from './media-source.ts'

export interface FollowOptions {
  readonly source: MediaSource
  readonly suite: CryptoSuite
  readonly facts: Pick<SealedMediaInfo, 'key' | 'commit' | 'chunkBytes'>
}

export interface FollowedChunk {
  readonly index: number
  /** Padding included. */
  readonly plain: Uint8Array<ArrayBuffer>
  readonly last: boolean
}

/**
 * The chunks of a media item that is being sent, in order from `first` on. The newest chunk is held back until a byte
 * behind it or the end of the upload shows whether it is the last one, which is sealed differently.
 */
export async function* followChunks(
  { source, suite, facts }: FollowOptions,
  first: number,
  signal: AbortSignal,
): AsyncGenerator<FollowedChunk> {
  const key = openingKey(facts)
  const sealed = new GrowingBytes(source, first * key.chunkBytes, signal)
  try {
    const header = first === 0 ? await sealed.take(HEADER_BYTES) : await readSealedHeader(source, signal)
    const opener = await createOpener({ suite, role: 'media', header, ...key })
    for (let index = first, last = false; !last; index += 1) {
      const bytes = await sealed.take(key.chunkBytes - (index === 0 ? HEADER_BYTES : 0))
      if (bytes.byteLength === 0 && index > 0) return
      last = await sealed.hasEnded()
      yield { index, plain: await opener.openChunk(index, bytes, last), last }
    }
  } finally {
    await sealed.close()
  }
}

/**
 * The plaintext of a media item that is being sent, in order. Zeros are counted until other bytes follow them, since
 * zeros at the end are padding.
 * @param finalBytes returns the true length, which only the finished manifest has
 */
export async function* followPlain(
  options: FollowOptions & { readonly finalBytes: (signal: AbortSignal) => Promise<number> },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let given = 0
  let zeros = 0
  for await (const { plain } of followChunks(options, 0, signal)) {
    // Measured before the reader gets the bytes, since it may detach them.
    const total = plain.byteLength
    const content = contentLength(plain)
    if (content > 0) {
      yield* zeroPieces(zeros)
      yield plain.subarray(0, content)
      given += zeros + content
      zeros = 0
    }
    zeros += total - content
  }
  const bytes = await options.finalBytes(signal)
  if (bytes < given || bytes > given + zeros) throw damagedMedia()
  yield* zeroPieces(bytes - given)
}

export function readSealedHeader(source: MediaSource, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  return source.server.retrier.run(signal, async () =>
    readAll(await source.read(0, HEADER_BYTES, signal), HEADER_BYTES),
  )
}

/** The sealed bytes of a media item that grows, in order. */
class GrowingBytes {
  readonly #source: MediaSource
  readonly #signal: AbortSignal
  #body: AsyncIterator<Uint8Array> | null = null
  #held: Uint8Array[] = []
  #heldBytes = 0
  #position: number
  #total: number | null = null

  constructor(source: MediaSource, position: number, signal: AbortSignal) {
    this.#source = source
    this.#position = position
    this.#signal = signal
  }

  /** `size` bytes, fewer at the end; empty behind it. */
  async take(size: number): Promise<Uint8Array<ArrayBuffer>> {
    while (this.#heldBytes < size && this.#position !== this.#total) await this.#fetch()
    const taken = new Uint8Array(Math.min(size, this.#heldBytes))
    for (let at = 0; at < taken.byteLength;) {
      const piece = this.#held.shift() ?? new Uint8Array(0)
      const used = piece.subarray(0, taken.byteLength - at)
      taken.set(used, at)
      at += used.byteLength
      if (used.byteLength < piece.byteLength) this.#held.unshift(piece.subarray(used.byteLength))
    }
    this.#heldBytes -= taken.byteLength
    return taken
  }

  /** Whether nothing is left. Waits for one more byte or for the end of the upload. */
  async hasEnded(): Promise<boolean> {
    while (this.#heldBytes === 0 && this.#position !== this.#total) await this.#fetch()
    return this.#heldBytes === 0
  }

  async close(): Promise<void> {
    await this.#body?.return?.()
  }

  async #fetch(): Promise<void> {
    try {
      const piece = await this.#source.server.retrier.run(this.#signal, () => this.#nextPiece())
      if (piece) this.#hold(piece)
    } catch (error) {
      const end = isSealiftError(error, 'range_not_satisfiable') ? error.context['sizeBytes'] : null
      // The upload ended exactly at our position.
      if (end !== this.#position) throw error
      this.#total = this.#position
    }
  }

  /** One attempt. `null`: the response has ended, and the next attempt sends another request. */
  async #nextPiece(): Promise<Uint8Array | null> {
    const body = this.#body ?? (await this.#open())
    this.#body = null
    const next = await body.next()
    if (next.done === true) return null
    this.#body = body
    return next.value
  }

  async #open(): Promise<AsyncIterator<Uint8Array>> {
    const { body, totalBytes } = await this.#source.read(this.#position, this.#position + RUN_BYTES, this.#signal)
    this.#total = totalBytes ?? this.#total
    return body[Symbol.asyncIterator]()
  }

  #hold(piece: Uint8Array): void {
    this.#held.push(piece)
    this.#heldBytes += piece.byteLength
    this.#position += piece.byteLength
  }
}

/** Length without the zeros at the end. */
function contentLength(plain: Uint8Array): number {
  let length = plain.byteLength
  while (length > 0 && plain[length - 1] === 0) length -= 1
  return length
}

function* zeroPieces(count: number): Generator<Uint8Array<ArrayBuffer>> {
  for (let left = count; left > 0; left -= RUN_BYTES) yield new Uint8Array(Math.min(left, RUN_BYTES))
}
