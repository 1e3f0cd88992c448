import type { PlainRange } from '../../client/index.ts'
import { unlessAborted } from '../../client/concurrency/abort.ts'
import type { GrowingFilm, TrackReference } from './growing-film.ts'
import type { ConnectionStatus } from './connection-status.ts'

/** A larger beginning is left to the loader. */
const MAX_BYTES = 16 * 1024 * 1024

type Bytes = Uint8Array<ArrayBuffer>

/**
 * The initialization segment and the first segment of a film, fetched in one request while hls.js is still being
 * loaded. Only of films with one track, of which hls.js is certain to request these bytes.
 */
export class FirstSegmentPrefetch {
  readonly #range: PlainRange
  readonly #stop = new AbortController()
  readonly #complete: Promise<Bytes>
  /** Bytes so far, from the beginning of the range on. */
  #received: Bytes = new Uint8Array(0)
  #more = Promise.withResolvers<void>()
  #isUsed = false

  private constructor(growing: GrowingFilm, connection: ConnectionStatus, range: PlainRange) {
    const [track = {}] = growing.film.description.renditions
    this.#range = range
    this.#complete = connection.run(this.#stop.signal, options =>
      growing.film.read(track, range, { ...options, onBytes: bytes => this.#onBytes(bytes) }),
    )
    this.#complete.catch(() => undefined)
  }

  /** @returns `null` for films of several tracks or with a large first segment */
  static of(growing: GrowingFilm, connection: ConnectionStatus): FirstSegmentPrefetch | null {
    const { renditions, audio = [] } = growing.film.description
    const [track, ...others] = renditions
    const first = track?.segments[0]
    if (!track || !first || others.length + audio.length > 0) return null
    const range = { start: track.init[0], end: first[0] + first[1] }
    const isSmall = range.end > range.start && range.end - range.start <= MAX_BYTES
    return isSmall ? new FirstSegmentPrefetch(growing, connection, range) : null
  }

  /**
   * @param onBytes gets the bytes as they come
   * @returns `null` for bytes that were not fetched ahead, or were read already
   */
  read(
    { kind, index }: TrackReference,
    range: PlainRange,
    { onBytes, signal }: { onBytes: ((bytes: Bytes) => void) | null; signal: AbortSignal },
  ): Promise<Bytes> | null {
    const isWithin = range.start >= this.#range.start && range.end <= this.#range.end
    if (this.#isUsed || kind !== 'rendition' || index !== 0 || !isWithin) return null
    if (range.end === this.#range.end) this.#isUsed = true
    return this.#read(range, { onBytes, signal })
  }

  close(): void {
    this.#stop.abort()
  }

  async #read(
    range: PlainRange,
    { onBytes, signal }: { onBytes: ((bytes: Bytes) => void) | null; signal: AbortSignal },
  ): Promise<Bytes> {
    const [from, to] = [range.start - this.#range.start, range.end - this.#range.start]
    for (let given = from; ;) {
      const until = Math.min(to, this.#received.byteLength)
      if (until > given) {
        onBytes?.(this.#received.slice(given, until))
        given = until
      }
      if (given >= to) break
      await unlessAborted(Promise.race([this.#more.promise, this.#complete]), signal)
    }
    const bytes = this.#received.slice(from, to)
    if (this.#isUsed) this.#received = new Uint8Array(0)
    return bytes
  }

  /** A retried read yields the same bytes again. */
  #onBytes(bytes: Bytes): void {
    const end = bytes.byteOffset + bytes.byteLength
    if (end <= this.#received.byteLength) return
    this.#received = new Uint8Array(bytes.buffer, 0, end)
    this.#more.resolve()
    this.#more = Promise.withResolvers()
  }
}
