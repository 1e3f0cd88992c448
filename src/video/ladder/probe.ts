/** Asks ffprobe what a file is made of. Its output is read leniently: the maker of the file chose what it says. */
import * as z from 'zod'

import { CannotPackage } from '../packager.ts'
import { confinedBy, LAUNCHER, type Ffmpeg } from './find-ffmpeg.ts'
import { inputOptions, type LadderLimits } from './ladder-limits.ts'
import type { PrivateFolder } from './private-folder.ts'
import { runProgram, splitArguments } from './run-program.ts'

const text = z.string().max(1000).optional().catch(undefined)
const count = z.coerce.number().min(0).max(Number.MAX_SAFE_INTEGER).optional().catch(undefined)
const flag = z.coerce.boolean().optional().catch(undefined)

const stream = z.object({
  index: z.int().min(0),
  codec_type: text,
  codec_name: text,
  width: count,
  height: count,
  sample_aspect_ratio: text,
  avg_frame_rate: text,
  r_frame_rate: text,
  field_order: text,
  color_transfer: text,
  color_primaries: text,
  channels: count,
  start_time: count,
  duration: count,
  disposition: z.object({ default: flag, forced: flag, attached_pic: flag }).optional().catch(undefined),
  tags: z.object({ language: text, title: text }).optional().catch(undefined),
  side_data_list: z
    .array(z.object({ rotation: z.coerce.number().optional().catch(undefined) }))
    .optional()
    .catch(undefined),
})

const facts = z.object({
  format: z.object({ format_name: z.string(), duration: count }),
  streams: z.array(stream).max(1000),
})

export type StreamFacts = z.infer<typeof stream>
export type FilmFacts = z.infer<typeof facts>

/** Entries for `-show_entries`. */
const ENTRIES = [
  'format=format_name,duration',
  `stream=${Object.keys(stream.shape)
    .filter(key => !['disposition', 'tags', 'side_data_list'].includes(key))
    .join(',')}`,
  'stream_disposition=default,forced,attached_pic',
  'stream_tags=language,title',
  'stream_side_data=rotation',
].join(':')

/** @throws CannotPackage */
export function readFacts(json: string): FilmFacts {
  try {
    return facts.parse(JSON.parse(json))
  } catch (cause) {
    throw new CannotPackage('What ffprobe says of the file cannot be read', { cause })
  }
}

export interface ProbeOptions {
  readonly ffmpeg: Ffmpeg
  readonly folder: PrivateFolder
  readonly formats: readonly string[]
  readonly limits: LadderLimits
  readonly signal: AbortSignal
}

const MAX_OUTPUT_BYTES = 2 * 1024 * 1024

/** @throws CannotPackage */
export async function probeFile({ ffmpeg, folder, formats, limits, signal }: ProbeOptions): Promise<FilmFacts> {
  const { memoryBytes, probeMs } = limits
  const cpuSeconds = Math.ceil(probeMs / 1000)
  const argv = [
    LAUNCHER,
    ...confinedBy(ffmpeg.confinement, { memoryBytes, cpuSeconds, fileBytes: 0, niceness: 0 }),
    ffmpeg.ffprobe,
    ...inputOptions(formats, limits.imagePixels),
    ...splitArguments(`-of json -show_entries ${ENTRIES} -i`),
    folder.inputUrl,
  ] as const
  // A handle of its own: programs that share one share its position.
  await using input = await folder.input.openFile()
  const run = { argv, withinMs: probeMs, maxOutputBytes: MAX_OUTPUT_BYTES, cwd: folder.path, input, signal }
  const { exitCode, stdout, killedFor } = await runProgram(run)
  if (killedFor === 'time') throw new CannotPackage(`Probing the file takes longer than ${cpuSeconds} s`)
  if (killedFor === 'output') throw new CannotPackage('The file has too many streams to list')
  if (exitCode !== 0) throw new CannotPackage('ffmpeg finds no video or audio in the file that it can read')
  return readFacts(stdout)
}
