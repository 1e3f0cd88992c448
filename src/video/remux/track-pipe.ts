import type { Segment, TrackLayout } from '../packager.ts'

/** A track's stream and its layout. A write waits until the bytes have been asked for, so nothing is kept. */
export class TrackPipe {
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  /** One object that grows. */
  readonly layout: TrackLayout
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | null = null
  #asked = Promise.withResolvers<void>()
  #init: readonly [number, number] | null = null
  readonly #segments: Segment[] = []
  #position = 0
  #failure: { readonly reason: unknown } | null = null

  /** @param onCancel the reader does not want the rest */
  constructor(onCancel: (reason: unknown) => void) {
    this.#asked.promise.catch(() => undefined)
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
        pull: () => this.#asked.resolve(),
        cancel: reason => onCancel(reason),
      },
      // Zero: what is written goes straight to who has asked for it.
      { highWaterMark: 0 },
    )
  }

  get position(): number {
    return this.#position
  }

  async writeInit(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { byteLength } = bytes
    // Its reader may keep the bytes, and detach them.
    await this.write(bytes)
    this.#init = [0, byteLength]
  }

  /** @throws what `fail` was told */
  async write(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#asked.promise
    if (this.#failure) throw this.#failure.reason
    this.#asked = Promise.withResolvers()
    this.#asked.promise.catch(() => undefined)
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
    this.#asked.reject(reason)
    this.#controller?.error(reason)
    this.#controller = null
  }
}
