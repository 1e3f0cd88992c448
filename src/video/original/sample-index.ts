import type { CryptoSuite, IncrementalHash } from '../../sealing/index.ts'
import { BrokenBoxes } from '../mp4/boxes.ts'
import { readFragment, sampleRanges, type SampleDefaults } from '../mp4/fragment.ts'
import { sampleDefaults } from '../mp4/movie.ts'
import { BoxStream, type TopLevelBox } from '../mp4/top-level-boxes.ts'
import { SAMPLE_HEAD_BYTES, headAt, printOf, SampleTable, wordAt } from './sample-table.ts'

/** A shorter sample costs about as much as it saves. */
const MIN_SAMPLE_BYTES = SAMPLE_HEAD_BYTES
/** The finder holds an entire sample to compare it. */
const MAX_SAMPLE_BYTES = 64 * 1024 * 1024
/** Of a film; further ones are not found again. About 300 MB of index, for days of film. */
const MAX_SAMPLES = 4_000_000
/** A longer `moov` or `moof` is passed over: no film has one, and it would be held in memory. */
const MAX_BOX_BYTES = 64 * 1024 * 1024

/** Where a sample lies in the film. */
interface Sample {
  readonly offset: number
  readonly length: number
}

/**
 * Indexes the samples of a fragmented MP4 that streams by: where each lies, its first and last bytes and its hash.
 * Holds some sixty bytes for each sample.
 */
export class SampleIndex {
  readonly table = new SampleTable()
  readonly #suite: Pick<CryptoSuite, 'sha256'>
  readonly #boxes = new BoxStream({
    isHeld: ({ type, bytes }) => (type === 'moov' || type === 'moof') && (bytes ?? Infinity) <= MAX_BOX_BYTES,
    onContent: ({ type }, bytes, at) => {
      if (type === 'mdat') this.#data(bytes, at)
    },
    onEnd: (box, content) => this.#endBox(box, content),
  })
  #defaults: ReadonlyMap<number, SampleDefaults> = new Map()
  readonly #ended = Promise.withResolvers<void>()
  #expected: readonly Sample[] = []
  #isBroken = false
  #next = 0
  #current: SampleReader | null = null

  constructor(suite: Pick<CryptoSuite, 'sha256'>) {
    this.#suite = suite
    this.#ended.promise.catch(() => undefined)
  }

  /** Resolves when all of the film has been indexed; rejects as its stream did. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  /** The same stream, watched. */
  watch(film: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = film.getReader()
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async controller => {
          try {
            const read = await reader.read()
            if (!read.done) this.push(read.value)
            if (read.done) this.end()
            if (read.done) controller.close()
            else controller.enqueue(read.value)
          } catch (error) {
            this.fail(error)
            controller.error(error)
          }
        },
        cancel: async reason => {
          this.fail(reason)
          await reader.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
  }

  push(piece: Uint8Array): void {
    if (this.#isBroken) return
    try {
      this.#boxes.push(piece)
    } catch (error) {
      // No well-formed MP4: the film is sent all the same, and its other samples are not found in the file.
      if (!(error instanceof BrokenBoxes)) throw error
      this.#isBroken = true
    }
  }

  end(): void {
    this.#ended.resolve()
  }

  fail(reason: unknown): void {
    this.#ended.reject(reason)
  }

  #endBox({ type, startsAt }: TopLevelBox, content: DataView | null): void {
    if (content && type === 'moov') this.#defaults = sampleDefaults(content)
    if (content && type === 'moof') this.#expect(sampleRanges(readFragment(content, this.#defaults), startsAt))
  }

  #expect(samples: Iterable<Sample>): void {
    this.#expected = Array.from(samples)
      .filter(({ length }) => length >= MIN_SAMPLE_BYTES && length <= MAX_SAMPLE_BYTES)
      .sort((a, b) => a.offset - b.offset)
    this.#next = 0
    this.#current = null
  }

  #data(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.byteLength && this.table.length < MAX_SAMPLES;) {
      const sample = this.#expected[this.#next]
      if (!sample) return
      this.#current ??= new SampleReader(sample, this.#suite.sha256())
      const start = sample.offset + this.#current.bytes - offset
      // Begins before these bytes, or overlaps the sample before it.
      if (start < at) this.#skip()
      else if (start >= bytes.byteLength) return
      else {
        const part = bytes.subarray(start, start + sample.length - this.#current.bytes)
        this.#current.take(part)
        at = start + part.byteLength
        if (this.#current.bytes === sample.length) {
          this.table.add({ ...sample, ...this.#current.finish() })
          this.#skip()
        }
      }
    }
  }

  #skip(): void {
    this.#next += 1
    this.#current = null
  }
}

/** One sample, as its bytes come. */
class SampleReader {
  bytes = 0
  readonly #sample: Sample
  readonly #hash: IncrementalHash
  readonly #head = new Uint8Array(SAMPLE_HEAD_BYTES)
  readonly #tail = new Uint8Array(4)

  constructor(sample: Sample, hash: IncrementalHash) {
    this.#sample = sample
    this.#hash = hash
  }

  take(part: Uint8Array): void {
    this.#hash.update(part)
    if (this.bytes < SAMPLE_HEAD_BYTES) this.#head.set(part.subarray(0, SAMPLE_HEAD_BYTES - this.bytes), this.bytes)
    const tailAt = this.#sample.length - 4 - this.bytes
    if (part.byteLength > tailAt) this.#tail.set(part.subarray(Math.max(0, tailAt)), Math.max(0, -tailAt))
    this.bytes += part.byteLength
  }

  finish(): { head: number; tail: number; print: ReturnType<typeof printOf> } {
    return {
      head: headAt(this.#head, 0),
      tail: wordAt(this.#tail, 0),
      print: printOf(this.#hash.digest()),
    }
  }
}
