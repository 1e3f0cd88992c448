/**
 * The only file that knows fluent-ffmpeg, which is no longer maintained: see
 * `docs/decisions/0013-ffmpeg-through-fluent-ffmpeg.md`. fluent-ffmpeg builds the command line and starts the process;
 * callers decide what is in the command line and how long the process may live.
 */
import fluent, { type FfmpegCommand } from 'fluent-ffmpeg'
import type { ChildProcess } from 'node:child_process'

import type { FileHandle } from 'node:fs/promises'

import { LAUNCHER } from './find-ffmpeg.ts'

export interface FfmpegOutput {
  readonly options: readonly string[]
  /** With its protocol. */
  readonly url: string
}

export interface FfmpegRun {
  /** What follows the launcher, the path of ffmpeg included. */
  readonly program: readonly string[]
  readonly inputOptions: readonly string[]
  /** With its protocol. */
  readonly input: string
  /** Inherited by the process as `INPUT_DESCRIPTOR`. */
  readonly inputFile: FileHandle
  readonly filters?: string
  readonly outputs: readonly FfmpegOutput[]
  /** Working folder. */
  readonly cwd: string
  readonly maxMessageBytes: number
  /** Kills it. */
  readonly signal: AbortSignal
}

/** ffmpeg failed. `message` holds its last messages, which may quote the file. */
export class FfmpegFailed extends Error {
  override readonly name = 'FfmpegFailed'
}

/**
 * Runs ffmpeg to its end; the process is gone when this settles.
 * @throws FfmpegFailed; the signal's reason
 */
export async function runFfmpeg(run: FfmpegRun): Promise<void> {
  run.signal.throwIfAborted()
  const command = commandFor(run)
  const ended = Promise.withResolvers<void>()
  command.on('end', () => ended.resolve())
  command.on('error', (error: Error) => ended.reject(new FfmpegFailed(error.message.slice(0, 2000))))
  // An abort before the process has started finds nothing to kill.
  command.on('start', () => {
    boundMessages(command, run.maxMessageBytes)
    if (run.signal.aborted) command.kill('SIGKILL')
  })
  const onAbort = (): void => void command.kill('SIGKILL')
  run.signal.addEventListener('abort', onAbort, { once: true })
  try {
    command.run()
    await ended.promise
    run.signal.throwIfAborted()
  } catch (error) {
    run.signal.throwIfAborted()
    throw error
  } finally {
    run.signal.removeEventListener('abort', onAbort)
  }
}

/** Fields of fluent-ffmpeg that its types leave out. */
interface Internals {
  _checkCapabilities(done: (error: Error | null) => void): void
  availableEncoders(done: (error: Error | null, encoders: object) => void): void
  _spawnFfmpeg(args: readonly string[], options: object, ...callbacks: readonly unknown[]): void
}

function commandFor({ program, inputOptions, input, inputFile, filters, outputs, cwd }: FfmpegRun): FfmpegCommand {
  const command = fluent({ cwd, stdoutLines: 50 })
  const given = command as FfmpegCommand & Internals
  const spawnFfmpeg = given._spawnFfmpeg.bind(command)
  const stdio = ['pipe', 'pipe', 'pipe', inputFile.fd]
  // Without this, fluent-ffmpeg starts ffmpeg four times more, unconfined, to list its capabilities.
  const internals: Internals = {
    _checkCapabilities: done => done(null),
    availableEncoders: done => done(null, {}),
    // fluent-ffmpeg has no option for an inherited input.
    _spawnFfmpeg: (args, options, ...callbacks) => spawnFfmpeg(args, { ...options, stdio }, ...callbacks),
  }
  Object.assign(command, internals)
  // All commands of this process share this setting, so it is always the same program.
  command.setFfmpegPath(LAUNCHER)
  // Options of the first input come first on the command line, so the programs before ffmpeg stand there. fluent-ffmpeg
  // splits an argument that comes alone at its blanks, so there are always two or more.
  command.input(input).inputOptions(...([...program, ...inputOptions] as [string, string]))
  if (filters !== undefined) command.complexFilter(filters)
  for (const output of outputs) command.output(output.url).outputOptions(...(output.options as [string, string]))
  return command
}

/** Kills a process that prints too much. A listener for `progress` would run an unconfined ffprobe on the input. */
function boundMessages(command: FfmpegCommand, maxBytes: number): void {
  const { ffmpegProc } = command as FfmpegCommand & { readonly ffmpegProc?: ChildProcess }
  let bytes = 0
  const count = (chunk: Buffer | string): void => {
    bytes += chunk.length
    if (bytes > maxBytes) command.kill('SIGKILL')
  }
  ffmpegProc?.stderr?.on('data', count)
  ffmpegProc?.stdout?.on('data', count)
}
