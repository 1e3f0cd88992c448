/** Walks the boxes of a file from front to back: as the file streams by, or where it can be read anywhere. */
import type { RandomSource } from '../../client/api/source-and-sink.ts'
import { BrokenBoxes, MAX_HEADER_BYTES, readBoxHeader, viewOf, type BoxHeader } from './boxes.ts'

export interface TopLevelBox extends BoxHeader {
  readonly startsAt: number
}

export interface BoxListener {
  /** Asked as a box begins: whether its content is to be held until it is complete. */
  isHeld(box: TopLevelBox): boolean
  /** Content of a box that is not held, as it comes; good during the call. */
  onContent?(box: TopLevelBox, bytes: Uint8Array, at: number): void
  /** The last byte of a box has passed. @param content `null` when it was not held */
  onEnd(box: TopLevelBox, content: DataView | null): void
}

/** A box that is going by. */
interface Passing {
  readonly box: TopLevelBox
  left: number
  readonly held: Uint8Array[] | null
}

/** Takes the bytes of a file in pieces of any size. Holds one box at most, and no more of it than has come. */
export class BoxStream {
  readonly #listener: BoxListener
  #bytes = 0
  #header = new Uint8Array(0)
  #passing: Passing | null = null

  constructor(listener: BoxListener) {
    this.#listener = listener
  }

  /** Bytes that went by. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws BrokenBoxes */
  push(piece: Uint8Array): void {
    for (let rest = piece; rest.byteLength > 0;) {
      const taken = this.#passing ? this.#pass(this.#passing, rest) : this.#beginBox(rest)
      this.#bytes += taken
      if (this.#passing?.left === 0) this.#endBox(this.#passing)
      rest = rest.subarray(taken)
    }
  }

  /** @throws BrokenBoxes when the file ends in the middle of a box */
  end(): void {
    const isOpen = this.#passing !== null && this.#passing.box.bytes !== null
    if (isOpen || this.#header.byteLength > 0) throw new BrokenBoxes('The file ends in the middle of a box')
  }

  #beginBox(piece: Uint8Array): number {
    const had = this.#header.byteLength
    const start = new Uint8Array(Math.min(MAX_HEADER_BYTES, had + piece.byteLength))
    start.set(this.#header)
    start.set(piece.subarray(0, start.byteLength - had), had)
    const header = readBoxHeader(viewOf(start))
    if (!header) {
      this.#header = start
      return start.byteLength - had
    }
    this.#header = new Uint8Array(0)
    const box = { ...header, startsAt: this.#bytes - had }
    const left = header.bytes === null ? Infinity : header.bytes - header.headerBytes
    this.#passing = { box, left, held: this.#listener.isHeld(box) ? [] : null }
    return header.headerBytes - had
  }

  #pass(passing: Passing, piece: Uint8Array): number {
    const taken = piece.subarray(0, Math.min(passing.left, piece.byteLength))
    if (passing.held) passing.held.push(taken.slice())
    else this.#listener.onContent?.(passing.box, taken, this.#bytes)
    passing.left -= taken.byteLength
    return taken.byteLength
  }

  #endBox({ box, held }: Passing): void {
    this.#passing = null
    this.#listener.onEnd(box, held && viewOf(concatenated(held)))
  }
}

function concatenated(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0))
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.byteLength
  }
  return bytes
}

/** Read at once: a header, and often all of a `moof`. */
const WINDOW_BYTES = 4096
/** A `moov` or `moof` above this is refused by the demuxer as well. */
const MAX_CONTENT_BYTES = 64 * 1024 * 1024

export interface FileBox extends TopLevelBox {
  /** `null` when the box is cut off or too large to be held. */
  readonly readContent: () => Promise<DataView | null>
}

export interface FileWalk {
  /** Default 0. */
  readonly from?: number
  /** Boxes, at most. */
  readonly most: number
  readonly signal: AbortSignal
}

/** Ends early at a length that cannot be. */
export async function* boxesOfFile(
  source: RandomSource,
  { from = 0, most, signal }: FileWalk,
): AsyncGenerator<FileBox, void> {
  let [windowAt, window] = [0, new Uint8Array(0)]
  const read = async (start: number, end: number): Promise<DataView> => {
    if (start < windowAt || end > windowAt + window.byteLength) {
      const last = Math.min(source.sizeBytes, Math.max(end, start + WINDOW_BYTES))
      ;[windowAt, window] = [start, await source.read(start, last, signal)]
    }
    return viewOf(window.subarray(start - windowAt, end - windowAt))
  }
  for (let at = from, count = 0; count < most && at < source.sizeBytes; count++) {
    const header = headerOrNull(await read(at, Math.min(source.sizeBytes, at + MAX_HEADER_BYTES)))
    if (!header) return
    const end = header.bytes === null ? source.sizeBytes : at + header.bytes
    const [startsAt, contentAt] = [at, at + header.headerBytes]
    const isHeld = end <= source.sizeBytes && end - contentAt <= MAX_CONTENT_BYTES
    yield { ...header, startsAt, readContent: async () => (isHeld ? read(contentAt, end) : null) }
    at = end
  }
}

function headerOrNull(view: DataView): BoxHeader | null {
  try {
    return readBoxHeader(view)
  } catch (error) {
    if (error instanceof BrokenBoxes) return null
    throw error
  }
}
