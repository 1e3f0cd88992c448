/** Runs a small program to its end, bounded in time and output. */
import { spawn } from 'node:child_process'
import type { StdioOptions } from 'node:child_process'
import type { FileHandle } from 'node:fs/promises'

/** The first file descriptor behind the three that every program has. */
export const INPUT_DESCRIPTOR = 3

export interface ProgramRun {
  readonly argv: readonly [program: string, ...args: string[]]
  readonly withinMs: number
  readonly maxOutputBytes: number
  readonly signal: AbortSignal
  readonly cwd?: string
  /** Inherited by the program as `INPUT_DESCRIPTOR`. The caller closes it. */
  readonly input?: FileHandle
}

export interface ProgramResult {
  /** `null`: it was killed. */
  readonly exitCode: number | null
  readonly stdout: string
  /** Why it was killed. */
  readonly killedFor?: 'time' | 'output'
}

/** Rejects if it could not be started, or with the signal's reason. The program is gone when this settles. */
export async function runProgram(run: ProgramRun): Promise<ProgramResult> {
  run.signal.throwIfAborted()
  const [program, ...args] = run.argv
  const inherited = run.input ? [run.input.fd] : []
  const stdio = { stdio: ['ignore', 'pipe', 'ignore', ...inherited] as StdioOptions & ['ignore', 'pipe', 'ignore'] }
  const child = spawn(program, args, { ...stdio, ...(run.cwd && { cwd: run.cwd }) })
  const ended = Promise.withResolvers<number | null>()
  child.once('error', ended.reject)
  child.once('exit', code => ended.resolve(code))
  let killedFor: 'time' | 'output' | undefined
  const kill = (why?: 'time' | 'output'): void => {
    killedFor ??= why
    child.kill('SIGKILL')
    child.stdout.destroy()
  }
  const chunks: Buffer[] = []
  let bytes = 0
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.byteLength
    if (bytes > run.maxOutputBytes) kill('output')
    else chunks.push(chunk)
  })
  const drained = Promise.withResolvers<void>()
  child.stdout.once('close', drained.resolve)
  const timer = setTimeout(() => kill('time'), run.withinMs)
  const onAbort = (): void => kill()
  run.signal.addEventListener('abort', onAbort, { once: true })
  try {
    const exitCode = await ended.promise
    await drained.promise
    run.signal.throwIfAborted()
    return { exitCode, stdout: Buffer.concat(chunks).toString('utf8'), ...(killedFor && { killedFor }) }
  } finally {
    clearTimeout(timer)
    run.signal.removeEventListener('abort', onAbort)
  }
}

/** Arguments of a command line, split at blanks: for arguments that hold none. */
export const splitArguments = (line: string): string[] => line.split(' ')
