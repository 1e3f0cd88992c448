/**
 * Packages by copying on a thread of its own. A broken or hostile film can send the demuxer into an endless loop or
 * make it fill the memory; a thread can be ended and has a heap limit. Besides, copying does not wait for sealing.
 */
import { Worker } from 'node:worker_threads'

import type { FileSource } from '../../client/node/files/file-source.ts'
import { fileOf } from '../input-file.ts'
import { CannotPackage } from '../packager.ts'
import type { PackagedFilm, PackageOptions, Packager, Segment, TrackLayout } from '../packager.ts'
import { receivedError } from './thread-messages.ts'
import type { LayoutUpdate, PostedFilm, ThreadCall, ThreadMessage } from './thread-messages.ts'

export interface RemuxThreadOptions {
  /** How long the thread's event loop may be blocked. Default 10 000 ms. */
  readonly stuckMs?: number
  /** Heap of the thread, buffers not counted. Default 256 MiB. */
  readonly heapMebibytes?: number
}

const STUCK = 'It is damaged in a way that cannot be read'
const TOO_MUCH = 'It takes more memory to read than a film should'

/** A packager that can start its thread before there is a film. */
export interface ReadyPackager extends Packager {
  /** Starts the thread of the next film, which takes time to load its libraries. It does not keep the process alive. */
  prepare(): void
}

/** As `createRemuxer`, for files on this machine; other sources are packaged on the caller's thread. */
export function createRemuxThread(options: RemuxThreadOptions = {}): ReadyPackager {
  const { stuckMs = 10_000 } = options
  let ready: Worker | null = null
  const take = (): Worker => {
    const worker = ready ?? startWorker(options)
    ready = null
    worker.ref()
    // Not before: a thread whose output is read keeps the process alive.
    worker.stdout.resume()
    worker.stderr.resume()
    return worker
  }
  return {
    prepare() {
      if (ready) return
      const worker = startWorker(options)
      worker.unref()
      // A thread that ends early is not used; the next one reports its error.
      worker.on('error', () => undefined)
      worker.on('exit', () => {
        if (ready === worker) ready = null
      })
      ready = worker
    },
    async package(input, how) {
      const file = await fileOf(input)
      if (file) return await new RemuxThread(take(), how, stuckMs).begin(file)
      const { createRemuxer } = await import('../remux/remuxer.ts')
      return await createRemuxer().package(input, how)
    },
  }
}

function startWorker({ heapMebibytes = 256 }: RemuxThreadOptions): Worker {
  return new Worker(workerFile(), {
    // Captured and dropped: the demuxer quotes the film in its messages.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMebibytes, maxYoungGenerationSizeMb: 8 },
  })
}

class RemuxThread {
  readonly #worker: Worker
  readonly #options: PackageOptions
  readonly #film = Promise.withResolvers<PackagedFilm>()
  readonly #stuckMs: number
  readonly #onAbort: () => void
  #tracks: readonly ThreadTrack[] = []
  #timeout: NodeJS.Timeout | null = null
  #ended = false

  constructor(worker: Worker, options: PackageOptions, stuckMs: number) {
    this.#options = options
    this.#stuckMs = stuckMs
    this.#worker = worker
    this.#onAbort = () => this.#end(options.signal.reason)
  }

  begin({ path, stamp, listed, sizeIsTrue }: FileSource): Promise<PackagedFilm> {
    const { signal } = this.#options
    this.#worker.on('message', (message: ThreadMessage) => this.#receive(message))
    this.#worker.on('error', error => this.#end(isOutOfMemory(error) ? new CannotPackage(TOO_MUCH) : error))
    this.#worker.on('exit', () => this.#end(new Error('The packaging thread ended')))
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#restartTimeout()
    const file = { path, stamp, sizeIsTrue, ...(listed && { listed }) }
    this.#call({ task: { file, leavesAudio: this.#options.leavesAudio ?? false } })
    return this.#film.promise
  }

  #receive(message: ThreadMessage): void {
    if (this.#ended) return
    this.#restartTimeout()
    if (message.kind === 'film') this.#film.resolve(this.#packaged(message.film))
    if (message.kind === 'progress') this.#options.onProgress?.(message.seconds)
    if (message.kind === 'failed') this.#end(receivedError(message.error))
    if (message.kind === 'chunk') this.#tracks[message.track]?.receive(message, message.bytes)
    if (message.kind !== 'end') return
    this.#tracks[message.track]?.receive(message, null)
    if (this.#tracks.every(track => track.isDone)) this.#end(null)
  }

  #packaged({ renditions, audio, ...film }: PostedFilm): PackagedFilm {
    const tracks = [...renditions, ...audio].map((facts, index) => {
      const track = new ThreadTrack({ pull: () => this.#call({ pull: index }), cancel: reason => this.#end(reason) })
      return { track, packaged: { ...facts, bytes: track.bytes, layout: track.layout } }
    })
    this.#tracks = tracks.map(({ track }) => track)
    const packaged = tracks.map(each => each.packaged)
    return {
      ...film,
      renditions: packaged.slice(0, renditions.length),
      audio: packaged.slice(renditions.length),
      subtitles: [],
      storyboard: null,
    }
  }

  #call(call: ThreadCall): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    if (!this.#ended) this.#worker.postMessage(call)
  }

  /** Restarts the timeout for the next message. */
  #restartTimeout(): void {
    if (this.#timeout) this.#timeout.refresh()
    else this.#timeout = setTimeout(() => this.#end(new CannotPackage(STUCK)), this.#stuckMs)
  }

  /** @param error `null` when all chunks have arrived */
  #end(error: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    if (this.#timeout) clearTimeout(this.#timeout)
    void this.#worker.terminate()
    if (error === null) return
    this.#film.reject(error)
    for (const track of this.#tracks) track.fail(error)
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

/** Beside this file, as TypeScript or compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./remux-worker.${extension}`, import.meta.url)
}

interface ThreadTrackOptions {
  /** Asks the thread for the next chunk. */
  readonly pull: () => void
  readonly cancel: (reason: unknown) => void
}

/** A track that the thread makes. */
class ThreadTrack {
  readonly bytes: ReadableStream<Uint8Array<ArrayBuffer>>
  /** One object that grows. */
  readonly layout: TrackLayout
  isDone = false
  readonly #segments: Segment[] = []
  #init: readonly [number, number] | null = null
  #controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>> | null = null
  #pending: PromiseWithResolvers<void> | null = null

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
          this.#pending = Promise.withResolvers()
          pull()
          return this.#pending.promise
        },
        cancel,
      },
      { highWaterMark: 0 },
    )
  }

  /** @param bytes `null` at the end */
  receive({ init, segments }: LayoutUpdate, bytes: Uint8Array<ArrayBuffer> | null): void {
    this.#init = init
    for (const segment of segments) this.#segments.push(segment)
    if (bytes) this.#controller?.enqueue(bytes)
    else this.#close()
    this.#pending?.resolve()
  }

  fail(error: unknown): void {
    if (this.isDone) return
    this.isDone = true
    this.#controller?.error(error)
    this.#pending?.resolve()
  }

  #close(): void {
    this.isDone = true
    this.#controller?.close()
  }
}
