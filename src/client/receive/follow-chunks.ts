import { isSealiftError } from '../../protocol/errors.ts'
import { createOpener, HEADER_BYTES, TAG_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite, Opener } from '../../sealing/index.ts'
import { readAll } from '../wire/http.ts'
import type { StoredFilm } from './stored-film.ts'
import type { MediaSource } from './media-source.ts'
import { RUN_BYTES } from './chunk-runs.ts'
import { openingKey } from './media-reader.ts'
import type { SealedMediaInfo } from './media-reader.ts'

export interface KeepGrowing {
  readonly source: MediaSource
  readonly suite: CryptoSuite
  readonly facts: Pick<SealedMediaInfo, 'key' | 'commit' | 'chunkBytes'>
  readonly kept: StoredFilm
  readonly moved: (bytes: number) => void
}

/**
 * Keeps the plaintext of a media that is being sent as it comes, from where the kept bytes end. Resolves when the
 * upload has ended. The newest chunk is left out each time: it may be the last one, which is sealed otherwise; padding
 * is kept like content, for nobody knows yet where it begins.
 */
export async function keepGrowing(options: KeepGrowing, signal: AbortSignal): Promise<void> {
  const { chunkBytes } = options.facts
  const first = Math.floor((options.kept.prefixBytes + HEADER_BYTES) / (chunkBytes - TAG_BYTES))
  const growing = new GrowingMedia(options, { chunk: first, opener: await readOpener(options, signal) })
  try {
    while (!growing.hasEnded) await growing.fetch(signal)
  } finally {
    await options.kept.note()
  }
}

async function readOpener({ source, suite, facts }: KeepGrowing, signal: AbortSignal): Promise<Opener> {
  const header = await source.server.retrier.run(signal, async () =>
    readAll(await source.read(0, HEADER_BYTES, signal), HEADER_BYTES),
  )
  return createOpener({ suite, role: 'media', header, ...openingKey(facts) })
}

class GrowingMedia {
  readonly #options: KeepGrowing
  readonly #opener: Opener
  #chunk: number
  /** The newest chunk, as much of it as is there. */
  #sealed: Uint8Array<ArrayBuffer>
  #filled = 0
  /** Sealed bytes behind us. */
  #position: number
  #total: number | null = null

  constructor(options: KeepGrowing, { chunk, opener }: { chunk: number; opener: Opener }) {
    this.#options = options
    this.#opener = opener
    this.#chunk = chunk
    this.#position = chunk === 0 ? HEADER_BYTES : chunk * options.facts.chunkBytes
    this.#sealed = this.#emptyChunk()
  }

  get hasEnded(): boolean {
    return this.#position === this.#total
  }

  /** One request, gone on with when its connection breaks. */
  async fetch(signal: AbortSignal): Promise<void> {
    const { source } = this.#options
    try {
      await source.server.retrier.run(signal, async attempt => {
        const answer = await source.read(this.#position, this.#position + RUN_BYTES, signal)
        this.#total = answer.totalBytes ?? this.#total
        for await (const piece of answer.body) {
          await this.#take(piece)
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

  async #take(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.byteLength;) {
      if (this.#filled === this.#sealed.byteLength) await this.#open()
      const part = piece.subarray(at, at + this.#sealed.byteLength - this.#filled)
      this.#sealed.set(part, this.#filled)
      this.#filled += part.byteLength
      this.#position += part.byteLength
      at += part.byteLength
    }
  }

  /** A byte has come behind it: it is not the last one. */
  async #open(): Promise<void> {
    const { kept, moved } = this.#options
    const plain = await this.#opener.openChunk(this.#chunk, this.#sealed, false)
    moved(plain.byteLength)
    await kept.append(plain, this.#plainStart())
    this.#chunk += 1
    this.#filled = 0
    this.#sealed = this.#emptyChunk()
  }

  #plainStart(): number {
    return Math.max(0, this.#chunk * (this.#options.facts.chunkBytes - TAG_BYTES) - HEADER_BYTES)
  }

  #emptyChunk(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#options.facts.chunkBytes - (this.#chunk === 0 ? HEADER_BYTES : 0))
  }
}
