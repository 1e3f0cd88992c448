import { isPartSize } from '../../protocol/parts.ts'
import type { DirectRead } from '../../protocol/response-readers.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import type { PresignedUrl } from '../transport/store-connection.ts'
import { endDirect } from '../wire/direct.ts'
import { notUnderstood } from '../wire/http.ts'
import type { Server } from '../wire/http.ts'

/** Most presigned URLs of one response. */
const MOST_PARTS = 64
const FIRST_PARTS = 2
/** Assumed part size until the server has sent it. */
const USUAL_PART_BYTES = 8 * 1024 * 1024
/** The server delays the response by the time that the bytes take at the client's byte rate: slow means fewer parts. */
const QUICK_MS = 500
const SLOW_MS = 2000
/** URLs are not used this long before they expire, since the store has its own clock. */
const MARGIN_MS = 3000

/** One response; it holds a slot at the server until it is ended or its URLs expire. */
interface Given {
  readonly read: DirectRead
  /** By the clock of this client. */
  readonly staleAt: number
  /** Bytes of each part that have not been read. */
  readonly left: Map<number, number>
  users: number
}

/** A presigned URL in use. */
export interface HeldMediaUrl extends PresignedUrl {
  readonly partBytes: number
  readonly given: Given
  /** Call it when the piece has arrived, or will not. */
  release(): void
}

export interface MediaUrlsOptions {
  readonly server: Server
  readonly clock: MonotonicClock
  readonly sealedBytes: number
  /** One request for the URLs of the parts that hold a range. */
  readonly ask: (start: number, end: number, signal: AbortSignal) => Promise<DirectRead>
}

/** The presigned URLs of the parts of one media item: requested ahead, renewed when they expire, released after use. */
export class MediaUrls {
  readonly #options: MediaUrlsOptions
  readonly #asking = new Semaphore(1)
  readonly #given = new Set<Given>()
  readonly #ending = new Set<Promise<void>>()
  #partBytes: number | null = null
  /** Parts to ask for next. */
  #parts = FIRST_PARTS

  constructor(options: MediaUrlsOptions) {
    this.#options = options
  }

  /** `null` until the first response. */
  get partBytes(): number | null {
    return this.#partBytes
  }

  /** The URL of the part that holds byte `at`. @throws the server's refusal; damaged_media */
  async of(at: number, signal: AbortSignal): Promise<HeldMediaUrl> {
    const known = this.#find(at)
    if (known) return known
    // One request at a time: a caller that waited usually finds that the last request covered its part.
    return this.#asking.run(1, signal, async () => {
      const found = this.#find(at) ?? (await this.#ask(at, signal))
      if (!found) throw notUnderstood()
      return found
    })
  }

  /** The store refuses these URLs. */
  forget({ given }: HeldMediaUrl): void {
    this.#end(given)
  }

  /** A piece has arrived. The last piece of these URLs releases their slot. */
  done({ part, start, end }: PartPiece, { given }: HeldMediaUrl): void {
    const left = (given.left.get(part) ?? 0) - (end - start)
    if (left > 0) given.left.set(part, left)
    else given.left.delete(part)
    if (given.left.size === 0) this.#end(given)
  }

  /** Releases every slot. */
  async close(): Promise<void> {
    for (const given of this.#given) this.#end(given)
    await Promise.all(this.#ending)
  }

  #find(at: number): HeldMediaUrl | null {
    const now = this.#options.clock.now()
    for (const given of this.#given) {
      const { partBytes, parts } = given.read
      const part = given.staleAt > now && parts.find(({ index }) => index === Math.floor(at / partBytes))
      if (part) return lend(given, part)
    }
    return null
  }

  async #ask(at: number, signal: AbortSignal): Promise<HeldMediaUrl | null> {
    const { clock, sealedBytes, ask } = this.#options
    // Unused URLs hold slots, of which this request needs one.
    for (const given of this.#given) if (given.users === 0) this.#end(given)
    const askedAt = clock.now()
    const end = Math.min(sealedBytes, at + this.#parts * (this.#partBytes ?? USUAL_PART_BYTES))
    const read = await ask(at, end, signal)
    const now = clock.now()
    this.#given.add({ read, staleAt: now + usableMs(read), left: sizesOf(read), users: 0 })
    this.#learn(now - askedAt)
    check(read, at, sealedBytes)
    this.#partBytes = read.partBytes
    return this.#find(at)
  }

  #learn(tookMs: number): void {
    if (tookMs < QUICK_MS) this.#parts = Math.min(MOST_PARTS, this.#parts * 2)
    if (tookMs > SLOW_MS) this.#parts = 1
  }

  #end(given: Given): void {
    if (!this.#given.delete(given)) return
    const ending = endDirect(this.#options.server, given.read.transferId)
    this.#ending.add(ending)
    void ending.finally(() => this.#ending.delete(ending))
  }
}

function lend(given: Given, { url, headers }: PresignedUrl): HeldMediaUrl {
  let lent = true
  given.users += 1
  return {
    url,
    headers,
    partBytes: given.read.partBytes,
    given,
    release: () => {
      if (lent) given.users -= 1
      lent = false
    },
  }
}

/** By this client's clock; if it is wrong, the store refuses the URL. */
function usableMs({ expiresAt }: DirectRead): number {
  const lifetimeMs = Date.parse(expiresAt) - Date.now()
  return lifetimeMs > 0 ? lifetimeMs - Math.min(MARGIN_MS, lifetimeMs / 5) : Infinity
}

function sizesOf({ parts, partBytes, sizeBytes }: DirectRead): Map<number, number> {
  return new Map(parts.map(({ index }) => [index, Math.min(partBytes, sizeBytes - index * partBytes)]))
}

/** @throws damaged_media for another length than the manifest's; invalid_response */
function check({ parts, partBytes, sizeBytes }: DirectRead, at: number, sealedBytes: number): void {
  if (sizeBytes !== sealedBytes) throw damagedMedia()
  const first = Math.floor(at / partBytes)
  const isRun = parts.every(({ index }, offset) => index === first + offset)
  if (!isPartSize(partBytes) || parts.length === 0 || !isRun) throw notUnderstood()
}

/** Bytes `start` (inclusive) to `end` (exclusive) of one part. */
export interface PartPiece {
  readonly part: number
  readonly start: number
  readonly end: number
  /** Where it begins in the media. */
  readonly at: number
}

/** The pieces of a range of a media item, in order. */
export function piecesOf(range: { readonly start: number; readonly end: number }, partBytes: number): PartPiece[] {
  const pieces: PartPiece[] = []
  for (let at = range.start; at < range.end;) {
    const part = Math.floor(at / partBytes)
    const partStart = part * partBytes
    const end = Math.min(range.end, partStart + partBytes)
    pieces.push({ part, start: at - partStart, end: end - partStart, at })
    at = end
  }
  return pieces
}
