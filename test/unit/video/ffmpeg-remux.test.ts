import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { createRemuxer } from '../../../src/video/index.ts'
import { digest } from '../../support/sdk.ts'
import { films, frameHashes } from '../../support/films.ts'
import type { FilmRecipe, Films } from '../../support/films.ts'
import { boxTypes, coversFile, packaged, writeFrom } from '../../support/packaged.ts'
import type { PackagedFile } from '../../support/packaged.ts'

let home: Films

beforeAll(async () => {
  home = await films()
})

afterAll(() => home[Symbol.asyncDispose]())

const KINDS: readonly (readonly [name: string, codecs: RegExp, recipe: FilmRecipe])[] = [
  ['H.264 and AAC in MP4', /^avc1\.[\da-f]{6},mp4a\.40\.2$/i, {}],
  ['H.264 without B-frames and sound', /^avc1\.[\da-f]{6}$/i, { audio: [], options: ['-bf', '0'] }],
  ['H.264 and AAC in MOV', /^avc1\.[\da-f]{6},mp4a\.40\.2$/i, { container: 'mov' }],
  ['H.264 and AAC in MKV', /^avc1\.[\da-f]{6},mp4a\.40\.2$/i, { container: 'mkv' }],
  ['H.264 and AAC in TS', /^avc1\.[\da-f]{6},mp4a\.40\.2$/i, { container: 'ts' }],
  ['H.265 and FLAC in MKV', /^hvc1\.\S+,fLaC$/, { container: 'mkv', video: 'libx265', audio: ['flac'] }],
  ['H.265 in MP4', /^hvc1\.\S+,mp4a\.6B$/, { video: 'libx265', audio: ['libmp3lame'] }],
  ['VP9 and Opus in WebM', /^vp09\.\S+,Opus$/, { container: 'webm', video: 'libvpx-vp9', audio: ['libopus'] }],
]

test.each(KINDS)('%s: every frame of the package is one of the film, in its place', async (_, codecs, recipe) => {
  const path = await home.make(recipe)
  const { film, renditions, audio } = await packaged(createRemuxer(), path)
  const file = only(renditions)
  expect(audio).toHaveLength(0)
  expect(film.notes).toEqual([])
  expect(film.keepsSamples).toBe(recipe.container !== 'ts')
  expect(file).toMatchObject({ width: 320, height: 180, codecs: expect.stringMatching(codecs) })
  const out = await saved(file)
  expect(await frameHashes(out, '0:v', 'decoded')).toEqual(await frameHashes(path, '0:v', 'decoded'))
  expect(await soundOf(recipe, out)).toEqual(await soundOf(recipe, path))
})

test.each(KINDS)(
  '%s: a short segment and others of four seconds, each of which can be played first',
  async (_name, _codecs, recipe) => {
    const { renditions } = await packaged(createRemuxer(), await home.make(recipe))
    const file = only(renditions)
    const { init, segments } = file.layout
    expect(coversFile(file)).toBe(true)
    expect(boxTypes(file, init ?? [0, 0])).toBe('ftyp moov')
    const seconds = segments.map(segment => segment[2])
    expect(seconds.slice(0, -1)).toEqual([expect.closeTo(2, 0), expect.closeTo(4, 0)])
    expect(sum(seconds)).toBeCloseTo(10, 0)
    const frames = await frameHashes(await saved(file), '0:v', 'decoded')
    for (const [first, segment] of segments.entries()) {
      expect(boxTypes(file, segment)).toMatch(/^moof mdat( moof mdat)*$/)
      const part = join(home.folder, 'part.mp4')
      await writeFrom(file, first, part)
      const played = await frameHashes(part, '0:v', 'decoded')
      expect(played).toEqual(frames.slice(Math.max(0, first * 100 - 50)))
    }
  },
)

test('the same film gives the same bytes', async () => {
  const path = await home.make({ container: 'mkv' })
  const [first, second] = [await packaged(createRemuxer(), path), await packaged(createRemuxer(), path)]
  expect(digest(only(first.renditions).content)).toBe(digest(only(second.renditions).content))
  expect(only(first.renditions).layout).toEqual(only(second.renditions).layout)
})

test('a choice of sound is sent beside the pictures, in step with them', async () => {
  const path = await home.make({ audio: ['aac', 'libmp3lame', 'libopus'] })
  const { renditions, audio } = await packaged(createRemuxer(), path)
  const video = only(renditions)
  expect(video.codecs).toMatch(/^avc1\.[\da-f]{6}$/i)
  expect(audio.map(({ codecs, language }) => [codecs, language])).toEqual([
    ['mp4a.40.2', 'en'],
    ['mp4a.6B', 'de'],
    ['Opus', 'fr'],
  ])
  expect(audio.map(({ isDefault }) => isDefault)).toEqual([true, undefined, undefined])
  for (const [index, track] of audio.entries()) {
    expect(coversFile(track)).toBe(true)
    expect(track.layout.segments.map(segment => segment[2])).toEqual(video.layout.segments.map(segment => segment[2]))
    expect(await soundPackets(await saved(track))).toEqual(await soundPackets(path, index))
  }
})

test('a turned film and one of oblong pixels say how large they are shown', async () => {
  const turned = only((await packaged(createRemuxer(), await home.make({ rotation: 90, seconds: 1 }))).renditions)
  expect(turned).toMatchObject({ width: 180, height: 320, frameRate: 25 })
  const shown = await frameHashes(await saved(turned), '0:v', 'decoded')
  expect(shown).toEqual(await frameHashes(await home.make({ rotation: 90, seconds: 1 }), '0:v', 'decoded'))
  const wide = only((await packaged(createRemuxer(), await home.make({ pixelAspect: '4/3', seconds: 1 }))).renditions)
  expect(wide).toMatchObject({ width: 427, height: 180 })
})

const SOUND: readonly (readonly [
  container: NonNullable<FilmRecipe['container']>,
  codec: 'aac' | 'libmp3lame' | 'flac' | 'libopus',
  codecs: string,
])[] = [
  ['mp3', 'libmp3lame', 'mp4a.6B'],
  ['flac', 'flac', 'fLaC'],
  ['m4a', 'aac', 'mp4a.40.2'],
  ['ogg', 'libopus', 'Opus'],
]

test.each(SOUND)('sound alone (%s) is a film without pictures', async (container, codec, codecs) => {
  const path = await home.make({ container, video: null, audio: [codec] })
  const { renditions, audio } = await packaged(createRemuxer(), path)
  const file = only(renditions)
  expect(audio).toHaveLength(0)
  expect(file.codecs).toBe(codecs)
  expect(file.width).toBeUndefined()
  expect(coversFile(file)).toBe(true)
  expect(file.layout.segments).toHaveLength(3)
  expect(await soundPackets(await saved(file))).toEqual(await soundPackets(path))
})

test('sound that is longer than the pictures is all there', async () => {
  const path = await home.make({ seconds: 5, audioSeconds: 15 })
  const file = only((await packaged(createRemuxer(), path)).renditions)
  expect(coversFile(file)).toBe(true)
  expect(sum(file.layout.segments.map(segment => segment[2]))).toBeCloseTo(15, 0)
  expect(await soundPackets(await saved(file))).toEqual(await soundPackets(path))
})

test('of several audio tracks, what browsers cannot play is left out, and said', async () => {
  const { film, renditions } = await packaged(createRemuxer(), await home.make({ audio: ['aac', 'ac3'], seconds: 2 }))
  expect(only(renditions).codecs).toMatch(/^avc1\.[\da-f]{6},mp4a\.40\.2$/i)
  expect(film.notes).toEqual([expect.stringMatching(/Audio track 2 was left out.*ac3/)])
})

test.each<FilmRecipe>([
  { video: 'mpeg4', audio: [], seconds: 1 },
  { container: 'avi', video: 'mpeg4', seconds: 1 },
  { container: 'wav', video: null, audio: ['pcm_s16le'], seconds: 1 },
])('what can only be encoded anew is refused: %j', async recipe => {
  await expect(packaged(createRemuxer(), await home.make(recipe))).rejects.toMatchObject({ name: 'CannotPackage' })
})

async function saved(file: PackagedFile): Promise<string> {
  const path = join(home.folder, 'packaged.mp4')
  await writeFile(path, file.content)
  return path
}

/** Without the headers that TS has before each packet of it. */
function soundOf({ audio, container }: FilmRecipe, path: string): Promise<string[]> | null {
  if (audio?.length === 0) return null
  return container === 'ts' ? frameHashes(path, '0:a', 'decoded') : soundPackets(path)
}

/** Hashes of the coded sound, packet by packet. */
function soundPackets(path: string, track = 0): Promise<string[]> {
  return frameHashes(path, `0:a:${track}`, 'copy')
}

function only<T>(all: readonly T[]): T {
  const [one] = all
  if (one === undefined || all.length > 1) throw new Error(`There are ${all.length}, not one`)
  return one
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0)
