/** What a film may cost, whatever it claims to be. */
export interface LadderLimits {
  /** Of one picture. @defaultValue 36 million (8192 × 4320) */
  readonly pixels: number
  /** Of an image. @defaultValue 100 million */
  readonly imagePixels: number
  /** Of a film. @defaultValue 86 400 */
  readonly seconds: number
  /** CPU time for a second of film. @defaultValue 60 */
  readonly cpuSecondsPerSecond: number
  /** Address space of each process. @defaultValue 6 GiB */
  readonly memoryBytes: number
  /** Without a byte from ffmpeg while somebody waits for one. @defaultValue 180 000 */
  readonly stallMs: number
  /** For looking at what a film is made of. @defaultValue 30 000 */
  readonly probeMs: number
  /** What ffmpeg may say; more is a flood. @defaultValue 8 MiB */
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

/** Of one file that ffmpeg writes into the private folder (sheets, subtitles, posters). */
export const FILE_BYTES = 16 * MIB
/** Streams of one input; demuxers stop at it. */
export const MAX_STREAMS = 128
export const MAX_AUDIO_TRACKS = 16
export const MAX_SUBTITLES = 32
/** CPU time that any run may take, however short the film. */
const CPU_SECONDS_BASE = 120

/** CPU seconds for a film of `seconds`, or of untold length. */
export function cpuSecondsFor(seconds: number | null, limits: LadderLimits): number {
  return CPU_SECONDS_BASE + Math.ceil((seconds ?? limits.seconds) * limits.cpuSecondsPerSecond)
}
