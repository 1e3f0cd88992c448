/**
 * A packaged film shows what ffprobe sees in its file: the same frames at the same times, and audio that begins and
 * ends with them. What would differ is not packaged, with a reason.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { CannotPackage, createRemuxer, type Packager } from '../../../src/video/index.ts'
import { createFilmPackager } from '../../../src/video/node.ts'
import { CORPUS, sourcesIn, type CorpusFilm, type Sources } from '../../support/corpus.ts'
import { ladder } from '../../support/ffmpeg.ts'
import { packaged } from '../../support/packaged.ts'
import { fromBeginning, shown, type Shown } from '../../support/shown.ts'
import { tempDirectory, type TempDirectory } from '../../support/temp-directory.ts'

/** Half a frame of AAC before and after, and what an encoder adds at both ends. */
const AUDIO_SECONDS = 0.07
/** Times of Matroska count milliseconds. */
const COPIED_SECONDS = 0.0021
/** Encoded frames may move within a frame of 25 a second. */
const ENCODED_SECONDS = 0.04

let home: TempDirectory
let sources: Sources
let encoded = 0
let packager: Packager

beforeAll(async () => {
  home = await tempDirectory()
  sources = sourcesIn(home.path)
  const encoder = await ladder()
  packager = createFilmPackager({
    copier: createRemuxer(),
    findLadder: () => Promise.resolve(encoder),
    onEncode: () => (encoded += 1),
  })
})
afterAll(() => home[Symbol.asyncDispose]())

const pathOf = ({ name }: CorpusFilm): string =>
  join(home.path, `${name.replaceAll(/\W+/g, '-')}.${name.split(',')[0] ?? ''}`)

interface Played extends Shown {
  /** Encoders fill what comes before late audio with silence. */
  readonly isAudioEncoded: boolean
}

/** What the packaged film shows, all its files together; the reason, when it is none. */
async function showPackaged(path: string): Promise<Played | CannotPackage> {
  try {
    const { film, renditions, audio } = await packaged(packager, path)
    const isAudioEncoded = encoded > 0 || film.notes.some(note => /encoded/.test(note))
    const seen = await Promise.all(
      [...renditions.slice(0, 1), ...audio].map(async (file, index) => {
        const place = `${path}.${index}.mp4`
        await writeFile(place, file.content)
        return shown(place)
      }),
    )
    return { frames: seen[0]?.frames ?? null, audio: seen.flatMap(each => each.audio), isAudioEncoded }
  } catch (error) {
    if (error instanceof CannotPackage) return error
    throw error
  }
}

const largest = (numbers: readonly number[]): number => Math.max(0, ...numbers.map(Math.abs))

function expectSame(played: Played, source: Shown, frameSeconds: number): void {
  const [film, file] = [fromBeginning(played), fromBeginning(source)]
  expect(film.frames?.length).toBe(file.frames?.length)
  const begin = (film.frames?.[0] ?? 0) - (file.frames?.[0] ?? 0)
  const moved = film.frames?.map((time, index) => time - begin - (file.frames?.[index] ?? Number.NaN)) ?? []
  expect(largest(moved), 'a frame moved').toBeLessThanOrEqual(frameSeconds)
  expect(film.audio.length).toBe(file.audio.length)
  film.audio.forEach(([from, to], index) => {
    const [begins, ends] = file.audio[index] ?? [Number.NaN, Number.NaN]
    const late = from - begin - begins
    expect(played.isAudioEncoded ? late : Math.abs(late), 'the audio begins elsewhere').toBeLessThanOrEqual(
      AUDIO_SECONDS,
    )
    expect(Math.abs(to - begin - ends), 'the audio ends elsewhere').toBeLessThanOrEqual(AUDIO_SECONDS)
  })
}

/** A file has a reason in words, which says more than that something is wrong. */
const OUTCOMES = { copied: /^copied$/, encoded: /^encoded$/, file: /^file: (?!It is damaged).*\w+ \w+/ } as const

test.each(CORPUS.map(film => [film.name, film] as const))('%s', async (_, film) => {
  const path = pathOf(film)
  await film.make(path, sources)
  encoded = 0
  const played = await showPackaged(path)
  const isFile = played instanceof CannotPackage
  const packagedAs = encoded > 0 ? 'encoded' : 'copied'
  expect(isFile ? `file: ${played.message}` : packagedAs).toMatch(OUTCOMES[film.becomes])
  if (isFile) return
  expectSame(played, await shown(path), encoded > 0 ? ENCODED_SECONDS : COPIED_SECONDS)
})
