/**
 * Watches a fragmented MP4 go by, cut anywhere, and tells where its initialization segment and its segments lie. A
 * segment is all that comes up to the end of the media data of one fragment. Holds one `moov` or `moof` at most.
 */
import { boxLength, BrokenBoxes, typeAt, viewOf } from '../mp4/boxes.ts'
import { fragmentTimes, trackClocks, type FragmentTimes, type TrackClocks } from '../mp4/movie.ts'
import type { Segment, TrackLayout } from '../packager.ts'

/** Of boxes that are looked into. */
const MAX_BOX_BYTES = 8 * 1024 * 1024
const LONGEST_HEADER = 16
/** Tracks seldom end at the same time; below this, no player waits for more. */
const WORTH_TELLING_SECONDS = 0.1

/** A box that is going by. */
interface Passing {
  readonly type: string
  readonly header: number
  /** Bytes that are still to come. */
  left: number
  /** What has come of it, if it is looked into. */
  readonly kept: Uint8Array[] | null
}

/** Gets what is in each box of facts that goes by. */
export interface FragmentWatcher {
  readMoov(moov: DataView): void
  readMoof(moof: DataView): void
}

export class FragmentScanner implements TrackLayout {
  readonly segments: Segment[] = []
  init: readonly [offset: number, length: number] | null = null
  /** Bytes that went by. */
  bytes = 0

  readonly #watcher: FragmentWatcher | null
  #head = new Uint8Array(0)
  #passing: Passing | null = null
  #clocks: TrackClocks | null = null
  #segmentStart = 0
  #times: FragmentTimes | null = null
  /** When the last of all tracks ends so far. */
  #end = 0

  constructor(watcher: FragmentWatcher | null = null) {
    this.#watcher = watcher
  }

  /** Seconds of all segments. */
  get seconds(): number {
    return this.#sum
  }
  #sum = 0

  /**
   * The next bytes. Keeps copies only.
   * @throws BrokenBoxes when it is no fragmented MP4
   */
  push(bytes: Uint8Array): void {
    for (let rest = bytes; rest.byteLength > 0;) {
      const taken = this.#passing ? this.#pass(this.#passing, rest) : this.#beginBox(rest)
      this.bytes += taken
      if (this.#passing?.left === 0) this.#endBox(this.#passing)
      rest = rest.subarray(taken)
    }
  }

  /**
   * Lengthens the last segment when a track goes on behind the video: a fragment is as long as its video.
   * @throws BrokenBoxes when the file ends in the middle of a box
   */
  end(): void {
    if (this.#passing || this.#head.byteLength > 0) throw new BrokenBoxes('The file ends in the middle of a box')
    const [last, rest] = [this.segments.at(-1), this.#end - this.#sum]
    if (!last || rest < WORTH_TELLING_SECONDS) return
    const [offset, length, seconds] = last
    this.segments[this.segments.length - 1] = [offset, length, seconds + rest]
    this.#sum += rest
  }

  /** Collects a header, byte ranges of it as they come. */
  #beginBox(bytes: Uint8Array): number {
    const had = this.#head.byteLength
    const head = new Uint8Array(Math.min(LONGEST_HEADER, had + bytes.byteLength))
    head.set(this.#head)
    head.set(bytes.subarray(0, head.byteLength - had), had)
    const length = boxLength(viewOf(head))
    if (!length) {
      this.#head = head
      return head.byteLength - had
    }
    const type = typeAt(viewOf(head), 4)
    const isRead = type === 'moov' || type === 'moof'
    if (isRead && length.total > MAX_BOX_BYTES) throw new BrokenBoxes('A box of facts is too long')
    this.#head = new Uint8Array(0)
    const { header, total } = length
    this.#passing = { type, header, left: total - header, kept: isRead ? [] : null }
    return header - had
  }

  #pass(box: Passing, bytes: Uint8Array): number {
    const taken = bytes.subarray(0, box.left)
    box.kept?.push(taken.slice())
    box.left -= taken.byteLength
    return taken.byteLength
  }

  #endBox({ type, kept }: Passing): void {
    this.#passing = null
    if (type === 'mdat') this.#endSegment()
    if (!kept) return
    const view = viewOf(joined(kept))
    try {
      if (type === 'moov') this.#readMoov(view)
      else this.#readMoof(view)
    } catch (error) {
      if (error instanceof RangeError) throw new BrokenBoxes('A box is too short', { cause: error })
      throw error
    }
  }

  #readMoov(moov: DataView): void {
    if (this.init) throw new BrokenBoxes('It begins twice')
    this.#clocks = trackClocks(moov)
    this.#watcher?.readMoov(moov)
    this.init = [0, this.bytes]
    this.#segmentStart = this.bytes
  }

  #readMoof(moof: DataView): void {
    if (!this.#clocks) throw new BrokenBoxes('A fragment comes before the facts of its tracks')
    this.#times = fragmentTimes(moof, this.#clocks)
    this.#watcher?.readMoof(moof)
  }

  #endSegment(): void {
    // Media data without a fragment belongs to no segment of its own: it goes with the next one.
    if (this.#times === null) return
    const { seconds, end } = this.#times
    this.segments.push([this.#segmentStart, this.bytes - this.#segmentStart, seconds])
    this.#sum += seconds
    this.#end = Math.max(this.#end, end)
    this.#segmentStart = this.bytes
    this.#times = null
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0))
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.byteLength
  }
  return whole
}
