/** Films for tests, made by ffmpeg's own sources; and what packagers make of them, read to the end. */
import { execFile } from 'node:child_process'
import { statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'

import type { FilmInput, PackagedFilm, PackagedTrack } from '../../src/video/index.ts'
import { findFfmpeg, LadderPackager, type Ffmpeg, type LadderLimits } from '../../src/video/node.ts'
import { findOnPath } from './requirements.ts'

const run = promisify(execFile)

/** Runs ffmpeg; arguments are cut at blanks. */
export async function ffmpeg(line: string): Promise<void> {
  await run('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...line.split(' ')])
}

/** `-i` and the like for a moving picture. */
export const pictures = (seconds: number, size = '640x360', rate = '25'): string =>
  `-f lavfi -i testsrc2=s=${size}:r=${rate}:d=${seconds}`

export const sound = (seconds: number, hertz = 440): string => `-f lavfi -i sine=f=${hertz}:d=${seconds}`

export const H264 = '-c:v libx264 -preset ultrafast -pix_fmt yuv420p'

let found: Promise<Ffmpeg | null> | null = null

/** The ffmpeg of this machine. */
export async function thisFfmpeg(): Promise<Ffmpeg> {
  found ??= findFfmpeg({ searchPath: process.env['PATH'] ?? '', signal: new AbortController().signal })
  const ffmpeg = await found
  if (!ffmpeg) throw new Error(`There is no ffmpeg that can make ladders: ${findOnPath('ffmpeg')}`)
  return ffmpeg
}

export const ladder = async (limits: Partial<LadderLimits> = {}): Promise<LadderPackager> =>
  new LadderPackager(await thisFfmpeg(), limits)

export const inputOf = (path: string): FilmInput => ({
  path,
  source: { sizeBytes: statSync(path).size, read: () => Promise.reject(new Error('Read by its path')) },
})

export async function readAll(track: PackagedTrack): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of track.bytes) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** All tracks, renditions first. */
export const readTracks = (film: PackagedFilm): Promise<Uint8Array[]> =>
  Promise.all([...film.renditions, ...film.audio].map(readAll))

export interface Stream {
  readonly codec_type: string
  readonly codec_name: string
  readonly width?: number
  readonly height?: number
  readonly pix_fmt?: string
  readonly profile?: string
  readonly level?: number
  readonly sample_aspect_ratio?: string
  readonly color_transfer?: string
  readonly start_time?: string
  readonly duration?: string
}

/** Writes `bytes` to `path`, decodes all of it without an error, and returns its streams. */
export async function decoded(path: string, bytes: Uint8Array): Promise<readonly Stream[]> {
  await writeFile(path, bytes)
  const { stderr } = await run('ffmpeg', ['-nostdin', '-v', 'error', '-i', path, '-f', 'null', '-'])
  if (stderr !== '') throw new Error(stderr)
  const { stdout } = await run('ffprobe', ['-v', 'error', '-of', 'json', '-show_streams', path])
  return (JSON.parse(stdout) as { streams: Stream[] }).streams
}

/** Times of the key frames, in seconds. */
export async function keyFrames(path: string): Promise<number[]> {
  const keys = (await frames(path)).filter(line => line.includes('K'))
  return keys.map(line => Number(line.split(',')[0]))
}

export const countFrames = async (path: string): Promise<number> => (await frames(path)).length

async function frames(path: string): Promise<string[]> {
  const entries = ['-select_streams', 'v', '-show_entries', 'packet=pts_time,flags', '-of', 'csv=p=0']
  const { stdout } = await run('ffprobe', ['-v', 'error', ...entries, path])
  return stdout.split('\n').filter(line => line !== '')
}
