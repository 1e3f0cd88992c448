import type { PlainRange } from '../../client/index.ts'
import { unlessAborted } from '../../client/concurrency/abort.ts'
import type { GrowingFilm, TrackReference } from './growing-film.ts'
import type { ConnectionStatus } from './connection-status.ts'

/** A larger beginning is left to the loader that asks for it. */
const MAX_BYTES = 16 * 1024 * 1024

type Bytes = Uint8Array<ArrayBuffer>

/**
 * The beginning of a film, fetched in one request while hls.js is still being loaded and has not asked for anything:
 * the initialization segment and the first segment. Only where there is one track, so that what is fetched is what
 * will be asked for.
 */
export class FirstSegmentPrefetch implements Disposable {
  readonly #range: PlainRange
  readonly #stop = new AbortController()
  readonly #whole: Promise<Bytes>
  /** What has come, from the beginning of the range on. */
  #come: Bytes = new Uint8Array(0)
  #more = Promise.withResolvers<void>()
  #over = false

  private constructor(growing: GrowingFilm, line: ConnectionStatus, range: PlainRange) {
    const [track = {}] = growing.film.description.renditions
    this.#range = range
    this.#whole = line.run(this.#stop.signal, options =>
      growing.film.read(track, range, { ...options, onBytes: bytes => this.#came(bytes) }),
    )
    this.#whole.catch(() => undefined)
  }

  /** @returns `null` where it is not known what will be asked for */
  static of(growing: GrowingFilm, line: ConnectionStatus): FirstSegmentPrefetch | null {
    const { renditions, audio = [] } = growing.film.description
    const [track, ...others] = renditions
    const first = track?.segments[0]
    if (!track || !first || others.length + audio.length > 0) return null
    const range = { start: track.init[0], end: first[0] + first[1] }
    const isSmall = range.end > range.start && range.end - range.start <= MAX_BYTES
    return isSmall ? new FirstSegmentPrefetch(growing, line, range) : null
  }

  /**
   * @param give takes the bytes as they come
   * @returns `null` when it is not about the beginning, or that was handed over already
   */
  read(
    { kind, index }: TrackReference,
    range: PlainRange,
    { give, signal }: { give: ((bytes: Bytes) => void) | null; signal: AbortSignal },
  ): Promise<Bytes> | null {
    const isWithin = range.start >= this.#range.start && range.end <= this.#range.end
    if (this.#over || kind !== 'rendition' || index !== 0 || !isWithin) return null
    if (range.end === this.#range.end) this.#over = true
    return this.#handOver(range, { give, signal })
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }

  async #handOver(
    range: PlainRange,
    { give, signal }: { give: ((bytes: Bytes) => void) | null; signal: AbortSignal },
  ): Promise<Bytes> {
    const [from, to] = [range.start - this.#range.start, range.end - this.#range.start]
    for (let given = from; ;) {
      const until = Math.min(to, this.#come.byteLength)
      if (until > given) {
        give?.(this.#come.slice(given, until))
        given = until
      }
      if (given >= to) break
      await unlessAborted(Promise.race([this.#more.promise, this.#whole]), signal)
    }
    const bytes = this.#come.slice(from, to)
    if (this.#over) this.#come = new Uint8Array(0)
    return bytes
  }

  /** A read that is begun anew comes by the same bytes once more. */
  #came(bytes: Bytes): void {
    const end = bytes.byteOffset + bytes.byteLength
    if (end <= this.#come.byteLength) return
    this.#come = new Uint8Array(bytes.buffer, 0, end)
    this.#more.resolve()
    this.#more = Promise.withResolvers()
  }
}
