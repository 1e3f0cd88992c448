/**
 * What stands before `ffmpeg` and `ffprobe` on their command lines: an empty environment, limits of the kernel, and no
 * network where the kernel lets us take it away. Programs that put these in place and then become the next one, so
 * that the process we started is the one we kill. Media is parsed in no other process.
 */
import { runProgram } from './run-program.ts'
import { words } from './words.ts'

/** Which of these a machine has. */
export interface Confinement {
  /** Where programs are looked for; the whole environment they get. */
  readonly searchPath: string
  /** Each a program with its options, up to the next program. */
  readonly network: readonly string[]
  readonly dieWithParent: readonly string[]
  readonly hasPrlimit: boolean
}

export interface ProcessLimits {
  readonly memoryBytes: number
  readonly cpuSeconds: number
  /** Of each file it writes; pipes do not count. */
  readonly fileBytes: number
  /** 0 to 19: how much it gives way to others. */
  readonly niceness: number
}

/** The first program of every command line. */
export const LAUNCHER = '/usr/bin/env'

/** What follows {@link LAUNCHER}, before the program itself. */
export function confinedBy(confinement: Confinement, limits: ProcessLimits): string[] {
  const { memoryBytes, cpuSeconds, fileBytes, niceness } = limits
  return [
    '-i',
    `PATH=${confinement.searchPath}`,
    'LC_ALL=C',
    ...confinement.network,
    ...(confinement.hasPrlimit
      ? ['prlimit', `--as=${memoryBytes}`, `--cpu=${cpuSeconds}`, `--fsize=${fileBytes}`, '--core=0', '--']
      : []),
    ...confinement.dieWithParent,
    ...words(`nice -n ${niceness}`),
  ]
}

/** Tries what this machine has; what it lacks is left out. */
export async function findConfinement(searchPath: string, signal: AbortSignal): Promise<Confinement> {
  const works = async (...command: readonly string[]): Promise<boolean> => {
    const argv = [LAUNCHER, '-i', `PATH=${searchPath}`, ...command, 'true'] as const
    const run = { argv, withinMs: 5000, maxOutputBytes: 1000, signal }
    return (await runProgram(run)).exitCode === 0
  }
  const firstOf = async (commands: readonly (readonly string[])[]): Promise<readonly string[]> => {
    for (const command of commands) if (await works(...command)) return command
    return []
  }
  const [network, dieWithParent, hasPrlimit] = await Promise.all([
    firstOf([
      ['unshare', '--net', '--'],
      ['unshare', '--map-current-user', '--net', '--'],
    ]),
    firstOf([['setpriv', '--pdeathsig', 'KILL', '--no-new-privs', '--']]),
    works('prlimit', '--core=0', '--'),
  ])
  return { searchPath, network, dieWithParent, hasPrlimit }
}
