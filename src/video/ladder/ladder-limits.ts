import { splitArguments } from './run-program.ts'

/** What packaging a film may cost, whatever its file claims. */
export interface LadderLimits {
  /** Of a video frame. @defaultValue 36 million (8192 × 4320) */
  readonly pixels: number
  /** Of an image. @defaultValue 100 million */
  readonly imagePixels: number
  /** Of a film. @defaultValue 86 400 */
  readonly seconds: number
  /** CPU time for a second of film. @defaultValue 60 */
  readonly cpuSecondsPerSecond: number
  /** Address space of each process. @defaultValue 6 GiB */
  readonly memoryBytes: number
  /** Without a byte from ffmpeg while a reader waits for one. @defaultValue 180 000 */
  readonly stallMs: number
  /** For ffprobe. @defaultValue 30 000 */
  readonly probeMs: number
  /** Of messages of ffmpeg. @defaultValue 8 MiB */
  readonly messageBytes: number
  /** For poster and preview. @defaultValue 60 000 */
  readonly picturesMs: number
}

const MIB = 1024 * 1024

export const DEFAULT_LIMITS: LadderLimits = {
  pixels: 8192 * 4320,
  imagePixels: 100_000_000,
  seconds: 86_400,
  cpuSecondsPerSecond: 60,
  memoryBytes: 6 * 1024 * MIB,
  stallMs: 180_000,
  probeMs: 30_000,
  messageBytes: 8 * MIB,
  picturesMs: 60_000,
}

/** Of one file that ffmpeg writes into the private folder: a sheet, subtitles or a poster. */
export const FILE_BYTES = 16 * MIB
/** Of one input; demuxers ignore further ones. */
export const MAX_STREAMS = 128

export const MAX_AUDIO_TRACKS = 16
export const MAX_SUBTITLES = 32
/** CPU time that any run may take, even for the shortest film. */
const CPU_SECONDS_BASE = 120

/** CPU seconds for a film of `seconds`; `null`: of unknown length. */
export function cpuSecondsFor(seconds: number | null, limits: LadderLimits): number {
  return CPU_SECONDS_BASE + Math.ceil((seconds ?? limits.seconds) * limits.cpuSecondsPerSecond)
}

/**
 * Containers of video and audio. Playlists, scripts and lists of images are left out: opening one opens the files that
 * it names.
 */
export const FILM_FORMATS: readonly string[] = [
  ...splitArguments('mov mp4 m4a 3gp 3g2 mj2 matroska webm mpegts mpeg avi flv ogg asf'),
  ...splitArguments('mp3 wav flac aac amr aiff caf ac3'),
]

const MAX_ALLOC_BYTES = 1024 * 1024 * 1024
const PROBE_BYTES = 20_000_000
const PROBE_MICROSECONDS = 20_000_000

/**
 * For ffmpeg and ffprobe, before the input: opens nothing but this file, in a container that names no others.
 * @param formats the demuxers that may open it
 * @param pixels of one frame or image, at most
 */
export function inputOptions(formats: readonly string[], pixels: number): string[] {
  return [
    ...splitArguments('-v error -hide_banner'),
    ...splitArguments(`-max_alloc ${MAX_ALLOC_BYTES} -max_pixels ${pixels}`),
    ...splitArguments('-protocol_whitelist file,pipe'),
    ...splitArguments(`-format_whitelist ${formats.join(',')}`),
    ...splitArguments(`-max_streams ${MAX_STREAMS}`),
    ...splitArguments(`-probesize ${PROBE_BYTES} -analyzeduration ${PROBE_MICROSECONDS}`),
  ]
}
