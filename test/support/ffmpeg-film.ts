/** Films for tests, made and cut by Debian's ffmpeg: independent of the product's own packagers. */
import { spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { FilmDescription, FilmMaker, OutgoingFilm, TrackProgress } from '../../src/client/index.ts'
import { fileSource } from '../../src/client/node/index.ts'
import { checkMedia } from './rfc8216.ts'

export interface ProgramRun {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export function runProgram(program: string, args: readonly string[], cwd?: string): Promise<ProgramRun> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(cwd === undefined ? {} : { cwd }) })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve({ code, stdout, stderr }))
  })
}

export async function ffmpeg(args: readonly string[], cwd?: string): Promise<void> {
  const { code, stderr } = await runProgram('ffmpeg', ['-nostdin', '-hide_banner', '-v', 'error', '-y', ...args], cwd)
  if (code !== 0) throw new Error(`ffmpeg ended with ${code}: ${stderr}`)
}

/** A moving picture with a tone, key frames every two seconds. */
export async function makeClip(path: string, seconds: number): Promise<void> {
  const picture = `testsrc2=size=320x180:rate=25:duration=${seconds}`
  const tone = `sine=frequency=440:sample_rate=44100:duration=${seconds}`
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-pix_fmt', 'yuv420p', '-c:a', 'aac']
  await ffmpeg(['-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', tone, ...coded, path])
}

type Layout = Pick<FilmDescription['renditions'][number], 'init' | 'segments'>

export interface CutTrack extends Layout {
  readonly path: string
  readonly bytes: number
}

/** A track as one fragmented MP4, copied from `input` by `select` (such as `-map 0:v:0`). */
export async function cutTrack(input: string, folder: string, select: readonly string[]): Promise<CutTrack> {
  await mkdir(folder, { recursive: true })
  const cut = ['-hls_time', '2', '-hls_playlist_type', 'vod', '-hls_segment_type', 'fmp4']
  const single = ['-hls_flags', 'single_file+independent_segments', '-hls_segment_filename', 'media.mp4']
  await ffmpeg(['-i', input, ...select, '-c', 'copy', '-f', 'hls', ...cut, ...single, 'media.m3u8'], folder)
  const path = join(folder, 'media.mp4')
  const { byteLength } = await readFile(path)
  const { map, segments } = checkMedia(await readFile(join(folder, 'media.m3u8'), 'utf8'), byteLength)
  if (!map) throw new Error('ffmpeg wrote no initialization segment')
  return {
    path,
    bytes: byteLength,
    init: [map.range.start, map.range.end - map.range.start],
    segments: segments.map(({ range, seconds }) => {
      if (!range) throw new Error('ffmpeg wrote a segment without a range')
      return [range.start, range.end - range.start, seconds]
    }),
  }
}

export interface CutFilm {
  /** One rendition with its sound in it, or pictures alone when `audio` is there. */
  readonly rendition: CutTrack
  readonly audio?: CutTrack
  readonly subtitles?: Uint8Array<ArrayBuffer>
}

/** The film as it is sent: `describe` lists the segments that receivers can read. */
export async function outgoing(film: CutFilm): Promise<FilmMaker> {
  const { rendition, audio, subtitles } = film
  const files = await Promise.all([rendition, ...(audio ? [audio] : [])].map(({ path }) => fileSource(path)))
  const made: OutgoingFilm = {
    tracks: [...files, ...(subtitles ? [subtitles] : [])],
    describe: (_, [first, second, third]) => {
      const pictures = first && described(rendition, first, audio ? 'avc1.42c00d' : 'avc1.42c00d,mp4a.40.2')
      const sound = audio && second && described(audio, second, 'mp4a.40.2')
      if (!pictures || (audio && !sound)) return null
      const text = (subtitles && (audio ? third : second)?.media) ?? null
      const complete = [pictures, sound].every(track => !track || track.media?.state === 'complete')
      return {
        state: complete ? 'complete' : 'sending',
        ...(complete && { seconds: rendition.segments.reduce((sum, [, , seconds]) => sum + seconds, 0) }),
        renditions: [{ ...pictures, width: 320, height: 180, frameRate: 25 }],
        ...(sound && { audio: [{ ...sound, language: 'en', name: 'Tone', isDefault: true }] }),
        ...(text?.state === 'complete' && { subtitles: [{ media: text, language: 'en', name: 'English' }] }),
      }
    },
  }
  return { begin: () => Promise.resolve({ film: made }) }
}

function described(
  { init, segments }: CutTrack,
  { media, readableBytes }: TrackProgress,
  codecs: string,
): FilmDescription['renditions'][number] | null {
  if (!media) return null
  const there = segments.filter(([offset, length]) => offset + length <= readableBytes)
  const bandwidth = Math.ceil(Math.max(1, ...segments.map(([, length, seconds]) => (length * 8) / seconds)))
  return { media, codecs, bandwidth, init, segments: there }
}
