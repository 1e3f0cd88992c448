import { isSealiftError } from '../../protocol/errors.ts'
import { createOpener, HEADER_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite, Opener } from '../../sealing/index.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import type { MediaSource } from './media-source.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { openingKey } from './media-reader.ts'
import type { SealedMediaInfo } from './media-reader.ts'

export interface FollowOptions {
  readonly source: MediaSource
  readonly suite: CryptoSuite
  readonly facts: Pick<SealedMediaInfo, 'key' | 'commit' | 'chunkBytes'>
  /** The true length, asked for when all bytes have come: only the finished manifest knows it. */
  finalBytes(signal: AbortSignal): Promise<number>
}

/**
 * The plaintext of a media whose length nobody knows yet, in order, as it is being sent.
 *
 * Two things are held back, for what they are is only known later: the newest chunk, which may be the last one and
 * would then carry another mark; and zeros, which may be padding. Held zeros are counted, not kept.
 */
export async function* followPlain(
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  let given = 0
  let zeros = 0
  for await (const plain of openedChunks(options, signal)) {
    // Told now: what is given away may be detached when we go on.
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

async function* openedChunks(options: FollowOptions, signal: AbortSignal): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const { suite, facts } = options
  const key = openingKey(facts)
  const sealed = new Growing(options.source, signal)
  const opener: Opener = await createOpener({ suite, role: 'media', header: await sealed.take(HEADER_BYTES), ...key })
  for (let chunk = 0, last = false; !last; chunk += 1) {
    const size = key.chunkBytes - (chunk === 0 ? HEADER_BYTES : 0)
    const bytes = await sealed.take(size)
    last = await sealed.hasEnded()
    yield await opener.openChunk(chunk, bytes, last)
  }
}

/** The sealed bytes of a media that grows, in order. */
class Growing {
  readonly #source: MediaSource
  readonly #signal: AbortSignal
  #held: Uint8Array[] = []
  #heldBytes = 0
  #position = 0
  #total: number | null = null

  constructor(source: MediaSource, signal: AbortSignal) {
    this.#source = source
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

  /** Whether nothing is left. Waits until that is known: one more byte, or the end of the upload. */
  async hasEnded(): Promise<boolean> {
    while (this.#heldBytes === 0 && this.#position !== this.#total) await this.#fetch()
    return this.#heldBytes === 0
  }

  async #fetch(): Promise<void> {
    try {
      await this.#source.server.retrier.run(this.#signal, async attempt => {
        const answer = await this.#source.read(this.#position, this.#position + RUN_BYTES, this.#signal)
        this.#total = answer.totalBytes ?? this.#total
        for await (const piece of answer.body) {
          this.#hold(piece)
          attempt.moved()
        }
      })
    } catch (error) {
      const end = isSealiftError(error, 'range_not_satisfiable') ? error.context['sizeBytes'] : null
      // The upload ended exactly where we stand.
      if (end !== this.#position) throw error
      this.#total = this.#position
    }
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
