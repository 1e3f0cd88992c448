/**
 * Packages by copying on a thread of its own. A demuxer that a broken or hostile film sends round in circles cannot be
 * stopped from outside its thread, nor can what it piles up be bounded; a thread can be ended, and has a heap of its own.
 * Besides, copying does not wait for sealing.
 */
import { Worker } from 'node:worker_threads'

import type { FileSource } from '../../client/node/files/file-source.ts'
import { fileOf } from '../input-file.ts'
import { CannotPackage } from '../packager.ts'
import type { PackagedFilm, PackageOptions, Packager, Segment, TrackLayout } from '../packager.ts'
import { receivedError } from './thread-messages.ts'
import type { FilmFacts, LayoutNews, ThreadCall, ThreadNews } from './thread-messages.ts'

export interface RemuxThreadOptions {
  /** How long the thread's event loop may stand still. Default 10 000 ms. */
  readonly stuckMs?: number
  /** Heap of the thread, buffers not counted. Default 256 MiB. */
  readonly heapMebibytes?: number
}

const STUCK = 'It is damaged in a way that cannot be read'
const TOO_MUCH = 'It takes more memory to read than a film should'

/** A packager that can get ready before there is a film. */
export interface ReadyPackager extends Packager {
  /** Starts the thread of the next film, which takes a while to load its libraries. It does not keep the process alive. */
  prepare(): void
}

/** As `createRemuxer`, for files on this machine; what is no file is packaged on the caller's thread. */
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
      // One that ends early is not used. The next one says why.
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
    // A demuxer writes what it thinks of a film to the console, in the film's own words.
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
  #watch: NodeJS.Timeout | null = null
  #ended = false

  constructor(worker: Worker, options: PackageOptions, stuckMs: number) {
    this.#options = options
    this.#stuckMs = stuckMs
    this.#worker = worker
    this.#onAbort = () => this.#end(options.signal.reason)
  }

  begin({ path, stamp, listed, sizeIsTrue }: FileSource): Promise<PackagedFilm> {
    const { signal } = this.#options
    this.#worker.on('message', (news: ThreadNews) => this.#take(news))
    this.#worker.on('error', error => this.#end(isOutOfMemory(error) ? new CannotPackage(TOO_MUCH) : error))
    this.#worker.on('exit', () => this.#end(new Error('The packaging thread ended')))
    if (signal.aborted) this.#onAbort()
    else signal.addEventListener('abort', this.#onAbort, { once: true })
    this.#watchOver()
    const file = { path, stamp, sizeIsTrue, ...(listed && { listed }) }
    this.#call({ task: { file, leavesAudio: this.#options.leavesAudio ?? false } })
    return this.#film.promise
  }

  #take(news: ThreadNews): void {
    if (this.#ended) return
    this.#watchOver()
    if (news.kind === 'film') this.#film.resolve(this.#packaged(news.film))
    if (news.kind === 'progress') this.#options.onProgress?.(news.seconds)
    if (news.kind === 'failed') this.#end(receivedError(news.error))
    if (news.kind === 'chunk') this.#tracks[news.track]?.take(news, news.bytes)
    if (news.kind !== 'end') return
    this.#tracks[news.track]?.take(news, null)
    if (this.#tracks.every(track => track.isDone)) this.#end(null)
  }

  #packaged({ renditions, audio, ...film }: FilmFacts): PackagedFilm {
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

  /** Begins to wait anew for a sign of life. */
  #watchOver(): void {
    if (this.#watch) this.#watch.refresh()
    else this.#watch = setTimeout(() => this.#end(new CannotPackage(STUCK)), this.#stuckMs)
  }

  /** @param error `null` when all of it was given out */
  #end(error: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.signal.removeEventListener('abort', this.#onAbort)
    if (this.#watch) clearTimeout(this.#watch)
    void this.#worker.terminate()
    if (error === null) return
    this.#film.reject(error)
    for (const track of this.#tracks) track.fail(error)
  }
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}

/** Beside this file, whether it runs as it is written or compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./remux-worker.${extension}`, import.meta.url)
}

interface ThreadTrackOptions {
  /** Asks the thread for the next chunk. */
  readonly pull: () => void
  readonly cancel: (reason: unknown) => void
}

/** A track that another thread makes. */
class ThreadTrack {
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
