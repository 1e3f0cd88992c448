import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'

import { confinedBy, findConfinement, LAUNCHER, type Confinement } from './confinement.ts'
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
  /** The program itself, as told by whoever runs us; otherwise it is looked for on the search path. */
  readonly program?: string
  /** Folders as in `PATH`. */
  readonly searchPath: string
  readonly signal: AbortSignal
}

const ASK_MS = 15_000
const ANSWER_BYTES = 1024 * 1024
const PROBE_MEMORY_BYTES = 4 * 1024 ** 3

/**
 * Looks for ffmpeg, and for ffprobe beside it or on the search path; asks it what it can do.
 * @returns `null` when one of both is missing, does not run, or can make neither H.264 nor AAC
 */
export async function findFfmpeg({ program, searchPath, signal }: FfmpegPlace): Promise<Ffmpeg | null> {
  if (process.platform === 'win32') return null
  const ffmpeg = program === undefined ? onPath('ffmpeg', searchPath) : executable(resolve(program))
  if (ffmpeg === null) return null
  const ffprobe = executable(join(dirname(ffmpeg), 'ffprobe')) ?? onPath('ffprobe', searchPath)
  if (ffprobe === null) return null
  const confinement = await findConfinement(searchPath, signal)
  const ask = (what: string): Promise<string> => answer(confinement, ffmpeg, what, signal)
  const [encoders, filters] = [await ask('-encoders'), await ask('-filters')]
  if (!lists(encoders, 'libx264') || !lists(encoders, 'aac')) return null
  return { ffmpeg, ffprobe, confinement, canToneMap: lists(filters, 'zscale') && lists(filters, 'tonemap') }
}

async function answer(confinement: Confinement, ffmpeg: string, what: string, signal: AbortSignal): Promise<string> {
  const limits = { memoryBytes: PROBE_MEMORY_BYTES, cpuSeconds: 10, fileBytes: 0, niceness: 0 }
  const argv = [LAUNCHER, ...confinedBy(confinement, limits), ffmpeg, '-nostdin', '-hide_banner', what] as const
  const { exitCode, stdout } = await runProgram({ argv, withinMs: ASK_MS, maxOutputBytes: ANSWER_BYTES, signal })
  return exitCode === 0 ? stdout : ''
}

/** Each line of the answer is flags, a name, words. */
const lists = (answer: string, name: string): boolean =>
  answer.split('\n').some(line => line.trim().split(/\s+/)[1] === name)

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
