import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { createOpener, HEADER_BYTES, plainLength, sealedChunkCount, TAG_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite, Opener, Role } from '../../sealing/index.ts'
import type { RetryEvent } from '../api/options.ts'
import { fromBase64Url } from '../bytes/base64url.ts'
import { release } from '../bytes/buffers.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import type { Attempt } from '../wire/retrier.ts'
import type { MediaSource } from './media-source.ts'

/** What the manifest says of a media item whose length is known. */
export interface SealedMediaInfo {
  readonly bytes: number
  readonly key: string
  readonly chunkBytes: number
  readonly sealedBytes: number
  readonly commit: string
}

export interface MediaReaderOptions {
  readonly source: MediaSource
  readonly suite: CryptoSuite
  readonly role: Role
  readonly facts: SealedMediaInfo
}

/** Chunks `first` to `last`, both included. */
export interface ChunkRun {
  readonly first: number
  readonly last: number
}

/** Takes authentic plaintext without padding, which is at `at` of the media item. It may keep the bytes. */
export type TakePlain = (bytes: Uint8Array<ArrayBuffer>, at: number) => Promise<void> | void

/** Reads and opens runs of chunks of one media item; any number of runs at once. */
export class MediaReader {
  readonly chunkBytes: number
  readonly chunks: number
  /** True length. */
  readonly bytes: number
  readonly #options: MediaReaderOptions
  #opener: Promise<Opener> | null = null
  #header: PromiseWithResolvers<Opener> | null = null
  #headerCame = false

  /** @throws damaged_media when the manifest contradicts itself */
  constructor(options: MediaReaderOptions) {
    const { chunkBytes, sealedBytes, bytes } = options.facts
    this.#options = options
    this.chunkBytes = chunkBytes
    this.chunks = sealedChunkCount(sealedBytes, chunkBytes)
    this.bytes = bytes
    if (bytes > plainLength(sealedBytes, chunkBytes)) throw damagedMedia()
  }

  /** Where the plaintext of a chunk begins, in the item. */
  plainStart(chunk: number): number {
    return Math.min(this.bytes, Math.max(0, chunk * (this.chunkBytes - TAG_BYTES) - HEADER_BYTES))
  }

  /**
   * Fetches and authenticates the chunks of a run, and passes them to `take` in order. After a broken connection it
   * resumes behind the last chunk that was taken.
   */
  async read(
    run: ChunkRun,
    take: TakePlain,
    signal: AbortSignal,
    onRetry?: (event: RetryEvent) => void,
  ): Promise<void> {
    if (run.first > 0 || this.#opener) {
      await this.opener(signal)
      return this.#readRun(run, take, signal, onRetry)
    }
    // This run includes the header. Other runs wait for it, and so for the grant of the first response.
    const header = Promise.withResolvers<Opener>()
    this.#header = header
    this.#opener = header.promise
    header.promise.catch(() => undefined)
    try {
      await this.#readRun(run, take, signal, onRetry)
    } catch (error) {
      if (this.#opener === header.promise && !this.#headerCame) this.#opener = null
      header.reject(error)
      throw error
    }
  }

  async #readRun(
    run: ChunkRun,
    take: TakePlain,
    signal: AbortSignal,
    onRetry?: (event: RetryEvent) => void,
  ): Promise<void> {
    let next = run.first
    const operation = async (attempt: Attempt): Promise<void> => {
      await this.#readFrom({ first: next, last: run.last }, signal, async (chunk, plain) => {
        await take(this.#withoutPadding(chunk, plain), this.plainStart(chunk))
        next = chunk + 1
        attempt.moved()
      })
    }
    await this.#options.source.server.retrier.run(signal, operation, onRetry)
  }

  /** Reads the header alone, unless it is known. */
  async opener(signal: AbortSignal): Promise<Opener> {
    for (;;) {
      this.#opener ??= this.#openerFromHeader(signal).catch((error: unknown) => {
        this.#opener = null
        throw error
      })
      try {
        return await this.#opener
      } catch (error) {
        // The caller that was reading the header was aborted, and this one was not.
        if (!isSealiftError(error, 'aborted') || signal.aborted) throw error
      }
    }
  }

  async #readFrom(
    run: ChunkRun,
    signal: AbortSignal,
    take: (chunk: number, plain: Uint8Array<ArrayBuffer>) => Promise<void>,
  ): Promise<void> {
    const { source, facts } = this.#options
    const end = Math.min(facts.sealedBytes, (run.last + 1) * this.chunkBytes)
    const { body } = await source.read(run.first * this.chunkBytes, end, signal)
    const cutter = new PieceCutter(body)
    try {
      const opener = run.first === 0 ? await this.#takeHeader(cutter) : await this.opener(signal)
      for (let chunk = run.first; chunk <= run.last; chunk += 1) {
        const sealed = whole(await cutter.take(this.#sealedBytes(chunk)))
        await take(chunk, await opener.openChunk(chunk, sealed, chunk === this.chunks - 1))
      }
    } finally {
      await cutter.stop()
    }
  }

  async #takeHeader(cutter: PieceCutter): Promise<Opener> {
    const opener = await this.#createOpener(whole(await cutter.take(HEADER_BYTES)))
    this.#headerCame = true
    this.#header?.resolve(opener)
    return opener
  }

  #openerFromHeader(signal: AbortSignal): Promise<Opener> {
    const { source } = this.#options
    return source.server.retrier.run(signal, async () => {
      const { body } = await source.read(0, HEADER_BYTES, signal)
      const cutter = new PieceCutter(body)
      try {
        return await this.#createOpener(whole(await cutter.take(HEADER_BYTES)))
      } finally {
        await cutter.stop()
      }
    })
  }

  #createOpener(header: Uint8Array): Promise<Opener> {
    const { suite, role, facts } = this.#options
    return createOpener({ suite, role, header, ...openingKey(facts) })
  }

  #sealedBytes(chunk: number): number {
    const start = chunk === 0 ? HEADER_BYTES : chunk * this.chunkBytes
    return Math.min(this.#options.facts.sealedBytes, (chunk + 1) * this.chunkBytes) - start
  }

  #withoutPadding(chunk: number, plain: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const content = plain.subarray(0, Math.max(0, this.bytes - this.plainStart(chunk)))
    if (!isZeroFrom(plain, content.byteLength)) throw damagedMedia()
    return content
  }
}

/** @throws damaged_media */
export function openingKey(facts: Pick<SealedMediaInfo, 'key' | 'commit' | 'chunkBytes'>): {
  key: Uint8Array
  commit: Uint8Array
  chunkBytes: number
} {
  const key = fromBase64Url(facts.key)
  const commit = fromBase64Url(facts.commit)
  if (!key || !commit) throw damagedMedia()
  return { key, commit, chunkBytes: facts.chunkBytes }
}

export function isZeroFrom(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at < bytes.length; at += 1) if (bytes[at] !== 0) return false
  return true
}

export function whole(bytes: Uint8Array | null): Uint8Array {
  if (!bytes) throw new SealiftError('network', 'The connection to the server broke')
  return bytes
}

/** Cuts bytes that arrive in pieces of any size into the sizes that are asked for. */
export class PieceCutter {
  readonly #pieces: AsyncIterator<Uint8Array>
  #piece: Uint8Array = new Uint8Array(0)
  #rest: Uint8Array = this.#piece
  #buffer: Uint8Array = new Uint8Array(0)

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /**
   * Exactly `size` bytes, or `null` when fewer are left. What it returns is only good until the next call: the memory
   * is used again.
   */
  async take(size: number): Promise<Uint8Array | null> {
    const direct = this.#rest.subarray(0, size)
    if (direct.byteLength === size) {
      this.#rest = this.#rest.subarray(size)
      return direct
    }
    if (this.#buffer.byteLength < size) this.#buffer = new Uint8Array(size)
    let filled = 0
    for (;;) {
      const taken = this.#rest.subarray(0, size - filled)
      this.#buffer.set(taken, filled)
      filled += taken.byteLength
      this.#rest = this.#rest.subarray(taken.byteLength)
      if (filled === size) return this.#buffer.subarray(0, size)
      release(this.#piece)
      const next = await this.#pieces.next()
      if (next.done === true) return null
      this.#piece = next.value
      this.#rest = next.value
    }
  }

  async stop(): Promise<void> {
    await this.#pieces.return?.()
  }
}
