import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'

import { runProgram } from './run-program.ts'

/** An ffmpeg that can make ladders, and what this machine can confine it with. */
export interface Ffmpeg {
  /** Absolute paths. */
  readonly ffmpeg: string
  readonly ffprobe: string
  readonly confinement: Confinement
  /** It has the filters that turn HDR into SDR. */
  readonly canToneMap: boolean
}

export interface FfmpegPlace {
  /** The program itself; without it, ffmpeg is looked for on the search path. */
  readonly program?: string
  /** Folders as in `PATH`. */
  readonly searchPath: string
  readonly signal: AbortSignal
}

const LIST_MS = 15_000
const LIST_BYTES = 1024 * 1024
const PROBE_MEMORY_BYTES = 4 * 1024 ** 3

/**
 * Looks for ffmpeg, and for ffprobe beside it or on the search path; lists what it can do.
 * @returns `null` when one of them is missing, does not run, or cannot encode H.264 and AAC
 */
export async function findFfmpeg({ program, searchPath, signal }: FfmpegPlace): Promise<Ffmpeg | null> {
  if (process.platform === 'win32') return null
  const ffmpeg = program === undefined ? onPath('ffmpeg', searchPath) : executable(resolve(program))
  if (ffmpeg === null) return null
  const ffprobe = executable(join(dirname(ffmpeg), 'ffprobe')) ?? onPath('ffprobe', searchPath)
  if (ffprobe === null) return null
  const confinement = await findConfinement(searchPath, signal)
  const encoders = await list(confinement, ffmpeg, '-encoders', signal)
  const filters = await list(confinement, ffmpeg, '-filters', signal)
  if (!lists(encoders, 'libx264') || !lists(encoders, 'aac')) return null
  return { ffmpeg, ffprobe, confinement, canToneMap: lists(filters, 'zscale') && lists(filters, 'tonemap') }
}

async function list(confinement: Confinement, ffmpeg: string, option: string, signal: AbortSignal): Promise<string> {
  const limits = { memoryBytes: PROBE_MEMORY_BYTES, cpuSeconds: 10, fileBytes: 0, niceness: 0 }
  const argv = [LAUNCHER, ...confinedBy(confinement, limits), ffmpeg, '-nostdin', '-hide_banner', option] as const
  const { exitCode, stdout } = await runProgram({ argv, withinMs: LIST_MS, maxOutputBytes: LIST_BYTES, signal })
  return exitCode === 0 ? stdout : ''
}

/** Each line holds flags, a name and a description. */
const lists = (printed: string, name: string): boolean =>
  printed.split('\n').some(line => line.trim().split(/\s+/)[1] === name)

function onPath(program: string, searchPath: string): string | null {
  for (const folder of searchPath.split(delimiter)) {
    // A relative folder would mean another program in each working folder.
    const found = folder.startsWith('/') ? executable(join(folder, program)) : null
    if (found !== null) return found
  }
  return null
}

function executable(path: string): string | null {
  try {
    accessSync(path, constants.X_OK)
    return statSync(path).isFile() ? path : null
  } catch {
    return null
  }
}

/**
 * Programs that stand before ffmpeg and ffprobe on their command lines, as far as this machine has them. They set
 * kernel limits, remove the network and then become the next program, so that killing the started process kills ffmpeg.
 * Media is parsed in no other process.
 */
export interface Confinement {
  /** Where programs are looked for; their only environment variable besides the locale. */
  readonly searchPath: string
  /** A program with its options, up to the next program; empty: this machine has none. */
  readonly network: readonly string[]
  readonly dieWithParent: readonly string[]
  readonly hasPrlimit: boolean
}

export interface ProcessLimits {
  readonly memoryBytes: number
  readonly cpuSeconds: number
  /** Of each file it writes; pipes do not count. */
  readonly fileBytes: number
  /** 0 to 19; higher gives way to other processes. */
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
    'nice',
    '-n',
    String(niceness),
  ]
}

/** Tries what this machine has; what it lacks is left out. */
async function findConfinement(searchPath: string, signal: AbortSignal): Promise<Confinement> {
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
