/** Films made by ffmpeg from its test sources: pictures that move, and a tone. Each is made once per test file. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { tempDirectory } from './temp-directory.ts'

const run = promisify(execFile)

export interface FilmRecipe {
  readonly container?: 'mp4' | 'mov' | 'mkv' | 'webm' | 'ts' | 'avi' | 'mp3' | 'flac' | 'm4a' | 'ogg' | 'wav'
  /** `null`: no pictures. */
  readonly video?: 'libx264' | 'libx265' | 'libvpx-vp9' | 'mpeg4' | 'mpeg2video' | null
  /** One per sound track, each in another pitch; languages `eng`, `deu`, `fra`. Empty: no sound. */
  readonly audio?: readonly (
    'aac' | 'libmp3lame' | 'libopus' | 'flac' | 'ac3' | 'eac3' | 'dca' | 'alac' | 'mp2' | 'pcm_s16le'
  )[]
  readonly size?: `${number}x${number}`
  readonly seconds?: number
  /** Of the sound, when it differs. */
  readonly audioSeconds?: number
  readonly frameRate?: number
  readonly gopFrames?: number
  /** Degrees clockwise, as a telephone writes them. */
  readonly rotation?: 90 | 180 | 270
  /** Of a pixel, such as `4/3`. */
  readonly pixelAspect?: string
  /** More options for ffmpeg, before the output. */
  readonly options?: readonly string[]
}

const LANGUAGES = ['eng', 'deu', 'fra']

export interface Films extends AsyncDisposable {
  /** The path of a film; the same one for the same recipe. */
  make(recipe: FilmRecipe): Promise<string>
  /** A folder for what a test writes. */
  readonly folder: string
}

export async function films(): Promise<Films> {
  const home = await tempDirectory()
  const made = new Map<string, Promise<string>>()
  return {
    folder: home.path,
    make: recipe => {
      const name = JSON.stringify(recipe)
      const film = made.get(name) ?? makeFilm(recipe, join(home.path, `film-${made.size}`))
      made.set(name, film)
      return film
    },
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  }
}

/** ffmpeg with `args`; returns what it printed. Rejects on what it calls an error, with its words. */
export async function ffmpeg(...args: readonly string[]): Promise<string> {
  const flags = ['-nostdin', '-hide_banner', '-v', 'error', '-xerror', '-y']
  const { stdout } = await run('ffmpeg', [...flags, ...args], { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

/** Of each frame in decoding order, as it is (`copy`) or decoded: its hash, without its time. */
export async function frameHashes(path: string, stream: string, mode: 'copy' | 'decoded'): Promise<string[]> {
  const codec = mode === 'copy' ? ['-c', 'copy'] : []
  const printed = await ffmpeg('-i', path, '-map', stream, ...codec, '-f', 'framemd5', '-')
  const lines = printed.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  // Stream, times, length, hash; then what a container adds, such as samples to skip.
  return lines.map(line => line.split(',')[5]?.trim() ?? '')
}

async function makeFilm(recipe: FilmRecipe, place: string): Promise<string> {
  const { container = 'mp4', rotation } = recipe
  const path = `${place}.${container}`
  const plain = rotation === undefined ? path : `${place}-plain.${container}`
  await ffmpeg(...argumentsOf(recipe), plain)
  // The option turns the other way round.
  if (rotation !== undefined) {
    await ffmpeg('-i', plain, '-map', '0', '-c', 'copy', '-metadata:s:v', `rotate=${360 - rotation}`, path)
  }
  return path
}

function argumentsOf(recipe: FilmRecipe): string[] {
  const { video = 'libx264', audio = ['aac'], size = '320x180', seconds = 10, audioSeconds = seconds } = recipe
  const { frameRate = 25, gopFrames = 50, pixelAspect = '1', options = [] } = recipe
  const pictures = `testsrc2=size=${size}:rate=${frameRate}:duration=${seconds},setsar=${pixelAspect}`
  const tones = audio.map((_, index) => `sine=frequency=${440 * (index + 1)}:duration=${audioSeconds}`)
  const inputs = [...(video ? [pictures] : []), ...tones].flatMap(source => ['-f', 'lavfi', '-i', source])
  const maps = Array.from({ length: tones.length + (video ? 1 : 0) }, (_, index) => ['-map', String(index)]).flat()
  const encoder = video ? ['-c:v', video, '-pix_fmt', 'yuv420p', '-g', String(gopFrames), ...fastest(video)] : []
  const sound = audio.flatMap((codec, index) => [
    `-c:a:${index}`,
    codec,
    `-metadata:s:a:${index}`,
    `language=${LANGUAGES[index] ?? 'und'}`,
  ])
  return [...inputs, ...maps, ...encoder, ...sound, '-strict', '-2', ...options]
}

function fastest(video: string): string[] {
  if (video === 'libx264') return ['-preset', 'veryfast']
  if (video === 'libx265') return ['-preset', 'ultrafast', '-x265-params', 'log-level=none']
  return video === 'libvpx-vp9' ? ['-deadline', 'realtime', '-cpu-used', '8'] : []
}
