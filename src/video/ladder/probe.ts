import { CannotPackage } from '../packager.ts'
import { confinedBy, LAUNCHER } from './confinement.ts'
import { ENTRIES, readFacts, type FilmFacts } from './facts.ts'
import type { Ffmpeg } from './find-ffmpeg.ts'
import { inputOptions } from './input-options.ts'
import type { LadderLimits } from './ladder-limits.ts'
import type { PrivateFolder } from './private-folder.ts'
import { runProgram } from './run-program.ts'
import { words } from './words.ts'

export interface Probing {
  readonly ffmpeg: Ffmpeg
  readonly folder: PrivateFolder
  readonly formats: readonly string[]
  readonly limits: LadderLimits
  readonly signal: AbortSignal
}

const MAX_ANSWER_BYTES = 2 * 1024 * 1024

/**
 * Asks ffprobe what the input is made of.
 * @throws CannotPackage
 */
export async function probe({ ffmpeg, folder, formats, limits, signal }: Probing): Promise<FilmFacts> {
  const { memoryBytes, probeMs } = limits
  const cpuSeconds = Math.ceil(probeMs / 1000)
  const argv = [
    LAUNCHER,
    ...confinedBy(ffmpeg.confinement, { memoryBytes, cpuSeconds, fileBytes: 0, niceness: 0 }),
    ffmpeg.ffprobe,
    ...inputOptions(formats, limits.imagePixels),
    ...words(`-of json -show_entries ${ENTRIES} -i`),
    folder.inputUrl,
  ] as const
  // A handle of its own: where one program stopped reading is no place for the next one to begin.
  await using input = await folder.input.openFile()
  const run = { argv, withinMs: probeMs, maxOutputBytes: MAX_ANSWER_BYTES, cwd: folder.path, input, signal }
  const { exitCode, stdout, killedFor } = await runProgram(run)
  if (killedFor === 'time') throw new CannotPackage(`Looking into the file takes longer than ${cpuSeconds} s`)
  if (killedFor === 'output') throw new CannotPackage('The file is made of too much to look through')
  if (exitCode !== 0) throw new CannotPackage('ffmpeg finds no film or sound in the file that it can read')
  return readFacts(stdout)
}
