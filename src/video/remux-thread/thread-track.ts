import type { Segment, TrackLayout } from '../packager.ts'
import type { LayoutNews } from './thread-messages.ts'

export interface ThreadTrackOptions {
  /** Asks the thread for the next chunk. */
  readonly pull: () => void
  readonly cancel: (reason: unknown) => void
}

/** A track that another thread makes. */
export class ThreadTrack {
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  /** One object that grows. */
  readonly layout: TrackLayout
  isDone = false
  readonly #segments: Segment[] = []
  #init: readonly [number, number] | null = null
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | null = null
  #given: PromiseWithResolvers<void> | null = null

  constructor({ pull, cancel }: ThreadTrackOptions) {
    const init = () => this.#init
    this.layout = {
      segments: this.#segments,
      get init() {
        return init()
      },
    }
    this.bytes = new ReadableStream(
      {
        start: controller => {
          this.#controller = controller
        },
        pull: () => {
          this.#given = Promise.withResolvers()
          pull()
          return this.#given.promise
        },
        cancel,
      },
      { highWaterMark: 0 },
    )
  }

  /** @param bytes `null` at the end */
  take({ init, segments }: LayoutNews, bytes: Uint8Array<ArrayBuffer> | null): void {
    this.#init = init
    for (const segment of segments) this.#segments.push(segment)
    if (bytes) this.#controller?.enqueue(bytes)
    else this.#close()
    this.#given?.resolve()
  }

  fail(error: unknown): void {
    if (this.isDone) return
    this.isDone = true
    this.#controller?.error(error)
    this.#given?.resolve()
  }

  #close(): void {
    this.isDone = true
    this.#controller?.close()
  }
}
