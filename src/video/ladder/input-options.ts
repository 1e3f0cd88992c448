/** How every input is opened: nothing but this file, in a container that names no others, within bounds. */
import { MAX_STREAMS } from './ladder-limits.ts'
import { words } from './words.ts'

/**
 * Containers of films and sound. Playlists, scripts and lists of pictures are not among them: whoever opens those opens
 * what they name.
 */
export const FILM_FORMATS: readonly string[] = [
  ...words('mov mp4 m4a 3gp 3g2 mj2 matroska webm mpegts mpeg avi flv ogg asf'),
  ...words('mp3 wav flac aac amr aiff caf ac3'),
]

const MAX_ALLOC_BYTES = 1024 * 1024 * 1024
const PROBE_BYTES = 20_000_000
const PROBE_MICROSECONDS = 20_000_000

/** For ffmpeg and ffprobe, before the input. `formats`: the demuxers that may open it; `pixels`: of one picture, at most. */
export function inputOptions(formats: readonly string[], pixels: number): string[] {
  return [
    ...words('-v error -hide_banner'),
    ...words(`-max_alloc ${MAX_ALLOC_BYTES} -max_pixels ${pixels}`),
    ...words('-protocol_whitelist file,pipe'),
    ...words(`-format_whitelist ${formats.join(',')}`),
    ...words(`-max_streams ${MAX_STREAMS}`),
    ...words(`-probesize ${PROBE_BYTES} -analyzeduration ${PROBE_MICROSECONDS}`),
  ]
}
