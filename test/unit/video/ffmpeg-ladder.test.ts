import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { PackagedFilm } from '../../../src/video/index.ts'
import { decoded, ffmpeg, H264, inputOf, keyFrames, ladder, pictures, readTracks, sound } from '../../support/ffmpeg.ts'
import { tempDirectory, type TempDirectory } from '../../support/temp-directory.ts'

let home: TempDirectory
beforeAll(async () => {
  home = await tempDirectory()
})
afterAll(() => home[Symbol.asyncDispose]())

const at = (name: string): string => join(home.path, name)
const never = new AbortController().signal

/** Packages what ffmpeg makes of `line`. */
async function packaged(name: string, line: string): Promise<{ film: PackagedFilm; tracks: Uint8Array[] }> {
  await ffmpeg(`${line} ${at(name)}`)
  const film = await (await ladder()).package(inputOf(at(name)), { signal: never })
  return { film, tracks: await readTracks(film) }
}

test('rungs begin their segments at the same times, each with a key frame, and play', async () => {
  const { film, tracks } = await packaged('plain.mp4', `${pictures(9)} ${sound(9)} ${H264} -c:a aac`)
  expect(film.renditions.map(({ width, height }) => [width, height])).toEqual([
    [640, 360],
    [426, 240],
  ])
  for (const [index, { codecs, layout }] of film.renditions.entries()) {
    const bytes = tracks[index] ?? new Uint8Array()
    expect(layout.segments.map(([, , seconds]) => seconds)).toEqual([4, 4, 1])
    const end = layout.segments.at(-1) ?? [0, 0, 0]
    expect(end[0] + end[1]).toBe(bytes.byteLength)
    const [video, audio] = await decoded(at(`plain-${index}.mp4`), bytes)
    expect(video).toMatchObject({ codec_name: 'h264', profile: 'High', pix_fmt: 'yuv420p', start_time: '0.000000' })
    expect(codecs).toBe(`avc1.6400${(video?.level ?? 0).toString(16)},mp4a.40.2`)
    expect(audio).toMatchObject({ codec_name: 'aac' })
    expect(await keyFrames(at(`plain-${index}.mp4`))).toEqual([0, 4, 8])
  }
})
