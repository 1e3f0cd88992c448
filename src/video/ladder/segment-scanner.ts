import { BrokenBoxes } from '../mp4/boxes.ts'
import { readFragment } from '../mp4/fragment.ts'
import { trackClocks, type TrackClocks } from '../mp4/movie.ts'
import { BoxStream, type TopLevelBox } from '../mp4/top-level-boxes.ts'
import type { Segment, TrackLayout } from '../packager.ts'

/** Of a `moov` or `moof`. */
const MAX_BOX_BYTES = 8 * 1024 * 1024
/** Tracks seldom end at the same time; below this, no player waits for more. */
const MIN_TAIL_SECONDS = 0.1

/** Gets what is in each `moov` and `moof` that goes by. */
export interface FragmentListener {
  readMoov(moov: DataView): void
  readMoof(moof: DataView): void
}

/**
 * Follows a fragmented MP4 that streams by, cut anywhere, and finds its initialization segment and its segments. A
 * segment goes up to the end of the media data of one fragment.
 */
export class SegmentScanner implements TrackLayout {
  readonly segments: Segment[] = []
  init: readonly [offset: number, length: number] | null = null

  readonly #listener: FragmentListener | null
  readonly #stream = new BoxStream({
    isHeld: box => isRead(box),
    onEnd: (box, content) => this.#endBox(box, content),
  })
  #clocks: TrackClocks | null = null
  #segmentStart = 0
  #fragment: FragmentTimes | null = null
  #seconds = 0
  /** When the last of all tracks ends so far. */
  #end = 0

  constructor(listener: FragmentListener | null = null) {
    this.#listener = listener
  }

  /** Bytes that went by. */
  get bytes(): number {
    return this.#stream.bytes
  }

  /** Of all segments. */
  get seconds(): number {
    return this.#seconds
  }

  /** @throws BrokenBoxes when it is no fragmented MP4 */
  push(bytes: Uint8Array): void {
    this.#stream.push(bytes)
  }

  /**
   * Lengthens the last segment when a track goes on behind the video: a fragment is as long as its video.
   * @throws BrokenBoxes when the file ends in the middle of a box
   */
  end(): void {
    this.#stream.end()
    const [last, tail] = [this.segments.at(-1), this.#end - this.#seconds]
    if (!last || tail < MIN_TAIL_SECONDS) return
    const [offset, length, seconds] = last
    this.segments[this.segments.length - 1] = [offset, length, seconds + tail]
    this.#seconds += tail
  }

  #endBox({ type }: TopLevelBox, content: DataView | null): void {
    if (type === 'mdat') this.#endSegment()
    else if (content && type === 'moov') this.#readMoov(content)
    else if (content) this.#readMoof(content)
  }

  #readMoov(moov: DataView): void {
    if (this.init) throw new BrokenBoxes('It begins twice')
    this.#clocks = trackClocks(moov)
    this.#listener?.readMoov(moov)
    this.init = [0, this.bytes]
    this.#segmentStart = this.bytes
  }

  #readMoof(moof: DataView): void {
    if (!this.#clocks) throw new BrokenBoxes('A fragment comes before the description of its tracks')
    this.#fragment = fragmentTimes(moof, this.#clocks)
    this.#listener?.readMoof(moof)
  }

  #endSegment(): void {
    // Media data without a fragment belongs to no segment of its own: it goes with the next one.
    if (this.#fragment === null) return
    const { seconds, end } = this.#fragment
    this.segments.push([this.#segmentStart, this.bytes - this.#segmentStart, seconds])
    this.#seconds += seconds
    this.#end = Math.max(this.#end, end)
    this.#segmentStart = this.bytes
    this.#fragment = null
  }
}

function isRead({ type, bytes }: TopLevelBox): boolean {
  if (bytes === null) throw new BrokenBoxes('A box has no length')
  if (type !== 'moov' && type !== 'moof') return false
  if (bytes > MAX_BOX_BYTES) throw new BrokenBoxes(`The box ${type} is too long`)
  return true
}

interface FragmentTimes {
  /** Of its video; without any, of its longest track. */
  readonly seconds: number
  /** When the last of its tracks ends. */
  readonly end: number
}

function fragmentTimes(moof: DataView, clocks: TrackClocks): FragmentTimes {
  const tracks = readFragment(moof, clocks).map(({ trackId, decodeTime, samples }) => {
    const clock = clocks.get(trackId)
    if (!clock) throw new BrokenBoxes('A fragment is of an unknown track')
    const ticks = samples.reduce((sum, { duration }) => sum + duration, 0)
    const { isVideo, ticksPerSecond } = clock
    return { isVideo, seconds: ticks / ticksPerSecond, end: ((decodeTime ?? 0) + ticks) / ticksPerSecond }
  })
  const videos = tracks.filter(({ isVideo }) => isVideo)
  return {
    seconds: Math.max(0, ...(videos.length > 0 ? videos : tracks).map(({ seconds }) => seconds)),
    end: Math.max(0, ...tracks.map(({ end }) => end)),
  }
}
