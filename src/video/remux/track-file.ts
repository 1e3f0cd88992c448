import type { EncodedPacket } from 'mediabunny'

import { PackageFacts } from '../checks/package-facts.ts'
import { bodyOf, requireBox, viewOf } from '../mp4/boxes.ts'
import type { Segment, TrackLayout } from '../packager.ts'
import { FragmentWriter } from './fragment-writer.ts'
import type { CopiedTrack } from './input-track.ts'

/** Chunks of this size leave the stream. */
const CHUNK_BYTES = 256 * 1024

export interface TrackFileOptions {
  readonly tracks: readonly CopiedTrack[]
  /** How long before it is shown a frame is decoded. */
  readonly leadSeconds: number
  readonly onCancel: (reason: unknown) => void
}

/** A file of the package while it is written. */
export class TrackFile {
  readonly tracks: readonly CopiedTrack[]
  readonly pipe: TrackPipe
  /** What has been written, read back from its boxes. */
  readonly facts = new PackageFacts()
  readonly #writer: FragmentWriter
  /** Where the segment begins that is being written, and its seconds so far. */
  #offset = 0
  #seconds = 0

  constructor({ tracks, leadSeconds, onCancel }: TrackFileOptions) {
    this.tracks = tracks
    this.pipe = new TrackPipe(onCancel)
    this.#writer = new FragmentWriter(tracks, leadSeconds)
  }

  async begin(): Promise<void> {
    const init = await this.#writer.init()
    this.facts.readMoov(requireBox(viewOf(init), 'moov'))
    await this.pipe.writeInit(init)
    this.#offset = this.pipe.position
  }

  /** @param packets of each of `tracks`; none at all lengthens the segment that follows */
  async write(packets: readonly (readonly EncodedPacket[])[], seconds: number): Promise<void> {
    this.#seconds += seconds
    if (packets.every(each => each.length === 0)) return
    const fragments = await this.#writer.fragments(packets, seconds)
    for (const { moof } of fragments) this.facts.readMoof(bodyOf(moof))
    const pieces = fragments.flatMap(({ moof, mediaData }) => [moof, ...mediaData])
    for (const chunk of chunksOf(pieces)) await this.pipe.write(chunk)
  }

  /** What has been written since the last one is a segment. */
  endSegment(): void {
    if (this.pipe.position === this.#offset) return
    this.pipe.endSegment(this.#offset, Math.round(this.#seconds * 1e6) / 1e6)
    this.#offset = this.pipe.position
    this.#seconds = 0
  }
}

/** The same bytes in chunks of one size; the last one is short. */
function* chunksOf(pieces: readonly Uint8Array<ArrayBuffer>[]): Generator<Uint8Array<ArrayBuffer>> {
  let left = pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
  let chunk = new Uint8Array(Math.min(CHUNK_BYTES, left))
  let filled = 0
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength;) {
      const part = piece.subarray(at, at + chunk.byteLength - filled)
      chunk.set(part, filled)
      filled += part.byteLength
      at += part.byteLength
      if (filled < chunk.byteLength) continue
      yield chunk
      left -= filled
      chunk = new Uint8Array(Math.min(CHUNK_BYTES, left))
      filled = 0
    }
  }
}

/** A track's stream and its layout. A write waits until a reader pulls, so nothing is buffered. */
class TrackPipe {
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  /** One object that grows. */
  readonly layout: TrackLayout
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | null = null
  #pulled = Promise.withResolvers<void>()
  #init: readonly [number, number] | null = null
  readonly #segments: Segment[] = []
  #position = 0
  #failure: { readonly reason: unknown } | null = null

  /** @param onCancel called when the reader cancels the stream */
  constructor(onCancel: (reason: unknown) => void) {
    this.#pulled.promise.catch(() => undefined)
    const written = () => this.#init
    this.layout = {
      segments: this.#segments,
      get init() {
        return written()
      },
    }
    this.bytes = new ReadableStream(
      {
        start: controller => {
          this.#controller = controller
        },
        pull: () => this.#pulled.resolve(),
        cancel: reason => onCancel(reason),
      },
      // Zero: bytes go straight to the pending read.
      { highWaterMark: 0 },
    )
  }

  get position(): number {
    return this.#position
  }

  async writeInit(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { byteLength } = bytes
    // The reader may detach the bytes.
    await this.write(bytes)
    this.#init = [0, byteLength]
  }

  /** @throws the reason of `fail` */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#pulled.promise
    if (this.#failure) throw this.#failure.reason
    this.#pulled = Promise.withResolvers()
    this.#pulled.promise.catch(() => undefined)
    this.#controller?.enqueue(bytes)
    this.#position += bytes.byteLength
  }

  /** What has been written since `offset` is a segment. */
  endSegment(offset: number, seconds: number): void {
    this.#segments.push([offset, this.#position - offset, seconds])
  }

  close(): void {
    this.#controller?.close()
    this.#controller = null
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason }
    this.#pulled.reject(reason)
    this.#controller?.error(reason)
    this.#controller = null
  }
}
