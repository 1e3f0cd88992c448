/** The programs of one film: starts ffmpeg, watches its tracks, and removes the folder after the last program. */
import type { FileHandle } from 'node:fs/promises'

import { abortReason, asError } from '../../client/concurrency/abort.ts'
import type { FileSource } from '../../client/node/files/file-source.ts'
import { CannotPackage } from '../packager.ts'
import type { ExpectedLadderTrack } from './check-ladder.ts'
import { confinedBy, type Ffmpeg } from './find-ffmpeg.ts'
import { inputOptions, cpuSecondsFor, FILE_BYTES, type LadderLimits } from './ladder-limits.ts'
import type { NamedPipe, PrivateFolder } from './private-folder.ts'
import { FfmpegFailed, runFfmpeg, type FfmpegOutput } from './run-ffmpeg.ts'
import { LadderTrack } from './ladder-track.ts'

export interface RunOptions {
  readonly ffmpeg: Ffmpeg
  readonly folder: PrivateFolder
  readonly limits: LadderLimits
  /** Of the caller. */
  readonly outer: AbortSignal
  readonly onProgress?: (seconds: number) => void
}

/** A run over the folder's input. */
export interface Job {
  readonly format: string
  readonly seconds: number | null
  readonly filters?: string
  readonly niceness: number
  /** Before the input. */
  readonly options?: readonly string[]
  readonly outputs: readonly FfmpegOutput[]
}

export interface TrackJob {
  readonly options: readonly string[]
  readonly maxRate: number
  readonly expected: readonly ExpectedLadderTrack[]
}

const STALL_CHECK_MS = 500

export class LadderRun {
  readonly #options: RunOptions
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal
  readonly #pipes: NamedPipe[] = []
  readonly #running = new Set<Promise<unknown>>()
  #tracks: readonly LadderTrack[] = []
  #progress = 0

  constructor(options: RunOptions) {
    this.#options = options
    this.#signal = AbortSignal.any([options.outer, this.#stop.signal])
    this.#signal.addEventListener('abort', () => this.#closePipes(), { once: true })
  }

  /** Ends all programs; reading the tracks fails with `reason`. */
  readonly stop = (reason: unknown): void => this.#stop.abort(reason)

  /** Starts ffmpeg, which writes one file for each of `tracks`. */
  async start(job: Omit<Job, 'outputs'>, tracks: readonly TrackJob[]): Promise<readonly LadderTrack[]> {
    const outputs: FfmpegOutput[] = []
    for (const [index, { options }] of tracks.entries()) {
      const pipe = await this.#options.folder.namedPipe(`track${index}`, this.#signal)
      this.#pipes.push(pipe)
      outputs.push({ options, url: pipe.url })
    }
    const ended = this.run({ ...job, outputs }).finally(() => this.#pipes.forEach(pipe => pipe.letEnd()))
    ended.catch(this.stop)
    this.#tracks = this.#pipes.map((pipe, index) => {
      const { maxRate = 0, expected = [] } = tracks[index] ?? {}
      return new LadderTrack({ pipe, maxRate, expected, ended, stop: this.stop, onGrown: this.#onGrown })
    })
    this.#watch(ended)
    return this.#tracks
  }

  /** Runs ffmpeg over the input once. */
  run(job: Job): Promise<void> {
    const { ffmpeg, folder, limits, outer } = this.#options
    const { memoryBytes, messageBytes: maxMessageBytes } = limits
    const cpuSeconds = cpuSecondsFor(job.seconds, limits)
    const confined = { memoryBytes, cpuSeconds, fileBytes: FILE_BYTES, niceness: job.niceness }
    const settings = {
      program: [...confinedBy(ffmpeg.confinement, confined), ffmpeg.ffmpeg, '-nostdin', '-y', '-nostats'],
      inputOptions: [...inputOptions([job.format], limits.imagePixels), ...(job.options ?? []), '-f', job.format],
      input: folder.inputUrl,
      ...(job.filters !== undefined && { filters: job.filters }),
      outputs: job.outputs,
      cwd: folder.path,
      maxMessageBytes,
      signal: this.#signal,
    }
    const running = withInput(folder.input, inputFile => runFfmpeg({ ...settings, inputFile }))
    return this.track(running.catch(error => Promise.reject(asError(asLadderError(error, outer)))))
  }

  /** The folder outlives `task`. */
  track<T>(task: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = task
      .catch(() => undefined)
      .finally(() => {
        this.#running.delete(settled)
      })
    this.#running.add(settled)
    return task
  }

  /** Removes the folder once the last program has ended. */
  async disposeWhenDone(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
    // A failure has no listener; the folder lies where the system cleans up temporary files.
    await this.#options.folder[Symbol.asyncDispose]().catch(() => undefined)
  }

  /** Ends all programs and waits until they and the folder are gone. */
  async abandon(reason: unknown): Promise<void> {
    this.stop(reason)
    await this.disposeWhenDone()
  }

  readonly #onGrown = (): void => {
    const seconds = Math.min(...this.#tracks.map(track => track.seconds))
    const { limits, onProgress } = this.#options
    if (seconds > limits.seconds) this.stop(new CannotPackage('The film does not end within the limit'))
    if (seconds > this.#progress) onProgress?.(seconds)
    this.#progress = Math.max(this.#progress, seconds)
  }

  /** ffmpeg hangs when readers wait for every track. A track without a reader is no fault of ffmpeg. */
  #watch(ended: Promise<void>): void {
    const { stallMs } = this.#options.limits
    const timer = setInterval(() => {
      const now = performance.now()
      const isStalled = this.#tracks.every(({ waitingSince }) => waitingSince !== null && now - waitingSince > stallMs)
      if (isStalled) this.stop(new CannotPackage('ffmpeg makes no progress with the file'))
    }, STALL_CHECK_MS)
    const stopWatching = (): void => clearInterval(timer)
    ended.then(stopWatching, stopWatching)
  }

  #closePipes(): void {
    for (const pipe of this.#pipes) pipe[Symbol.dispose]()
  }
}

/** With a handle of its own: programs that share one share its position. */
async function withInput<T>(input: FileSource, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  await using handle = await input.openFile()
  return await use(handle)
}

function asLadderError(error: unknown, outer: AbortSignal): unknown {
  if (outer.aborted) return abortReason(outer)
  if (!(error instanceof FfmpegFailed)) return error
  return new CannotPackage('ffmpeg could not read the file to its end, or not within its limits', { cause: error })
}
