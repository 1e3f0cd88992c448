import { PackageFacts } from '../checks/package-facts.ts'
import { ladderDifference, type ExpectedLadderTrack } from './check-ladder.ts'
import { SegmentScanner } from './segment-scanner.ts'
import { BrokenBoxes } from '../mp4/boxes.ts'
import { CannotPackage, type TrackLayout } from '../packager.ts'
import type { NamedPipe } from './private-folder.ts'

export interface TrackOptions {
  readonly pipe: NamedPipe
  /** Bits per second that it exceeds only for moments. */
  readonly maxRate: number
  /** One for each track in the file. */
  readonly expected: readonly ExpectedLadderTrack[]
  /** Resolves when ffmpeg has ended well; rejects with the error for the reader. */
  readonly ended: Promise<void>
  /** Ends the packaging of the film. */
  readonly stop: (reason: unknown) => void
  /** Called when its layout has grown. */
  readonly onGrown: () => void
}

type Bytes = Uint8Array<ArrayBuffer>

const MIB = 1024 * 1024
/** The most that a manifest takes. */
const MAX_SEGMENT_SECONDS = 3600

/** One file that ffmpeg writes, as a stream: the pipe is read when the stream is, and its boxes are followed. */
export class LadderTrack {
  readonly bytes: ReadableStream<Bytes>
  /** Resolves with the first bytes; rejects if there are none. */
  readonly begun: Promise<void>
  /** Since when a reader waits for the next bytes, by `performance.now()`; `null`: no reader waits. */
  waitingSince: number | null = performance.now()

  readonly #options: TrackOptions
  readonly #facts = new PackageFacts()
  readonly #scanner = new SegmentScanner(this.#facts)
  readonly #chunks: AsyncIterator<Buffer>
  #first: Promise<Bytes | null> | null

  constructor(options: TrackOptions) {
    this.#options = options
    this.#chunks = (options.pipe.reading as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
    this.#first = this.#read()
    this.begun = isNotEmpty(this.#first)
    this.begun.catch(() => undefined)
    const pull = (controller: ReadableStreamDefaultController<Bytes>): Promise<void> => this.#pull(controller)
    this.bytes = new ReadableStream<Bytes>({ pull, cancel: options.stop }, { highWaterMark: 0 })
  }

  get layout(): TrackLayout {
    return this.#scanner
  }

  /** Seconds of the segments that have gone by. */
  get seconds(): number {
    return this.#scanner.seconds
  }

  async #pull(controller: ReadableStreamDefaultController<Bytes>): Promise<void> {
    try {
      const next = await (this.#first ?? this.#read())
      this.#first = null
      if (next) this.#passOn(next, controller)
      else {
        this.#scanner.end()
        if (this.#scanner.segments.length === 0) throw new CannotPackage('ffmpeg wrote no segment of a track')
        if (this.#scanner.segments.some(([, , seconds]) => seconds > MAX_SEGMENT_SECONDS))
          throw new CannotPackage('Its audio goes on for more than an hour after its video')
        const difference = ladderDifference(this.#options.expected, this.#facts.tracks)
        if (difference !== null) throw new CannotPackage(difference)
        controller.close()
      }
    } catch (error) {
      const reason = damageOf(error)
      this.#options.stop(reason)
      controller.error(reason)
    }
  }

  #passOn(bytes: Bytes, controller: ReadableStreamDefaultController<Bytes>): void {
    const had = this.#scanner.segments.length
    this.#scanner.push(bytes)
    this.#checkSize()
    // The layout lists only bytes that have left: both change in the same task.
    controller.enqueue(bytes)
    if (this.#scanner.segments.length > had) this.#options.onGrown()
  }

  /** A hostile film may be made to fill the receiver's storage. */
  #checkSize(): void {
    const allowed = 32 * MIB + (2 * this.#options.maxRate * (this.seconds + 60)) / 8
    if (this.#scanner.bytes > allowed) throw new CannotPackage('The packaged film would become far too large')
  }

  async #read(): Promise<Bytes | null> {
    this.waitingSince = performance.now()
    try {
      const next = await this.#chunks.next()
      if (next.done !== true) return new Uint8Array(next.value)
    } catch {
      // The end of ffmpeg says why the pipe broke.
    } finally {
      this.waitingSince = null
    }
    await this.#options.ended
    return null
  }
}

async function isNotEmpty(first: Promise<Bytes | null>): Promise<void> {
  if (!(await first)) throw new CannotPackage('ffmpeg could make nothing of the file')
}

/** Output of ffmpeg that cannot be followed is no fault of its reader. */
function damageOf(error: unknown): unknown {
  if (!(error instanceof BrokenBoxes)) return error
  return new CannotPackage('What ffmpeg made of the file is damaged', { cause: error })
}
