import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { thumbHashToApproximateAspectRatio } from 'thumbhash'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { fromBase64Url } from '../../../src/client/bytes/base64url.ts'
import type { PackagedFilm } from '../../../src/video/index.ts'
import {
  countFrames,
  type Stream,
  decoded,
  ffmpeg,
  H264,
  inputOf,
  keyFrames,
  ladder,
  pictures,
  readTracks,
  sound,
} from '../../support/ffmpeg.ts'
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

test('audio that goes on behind the video is part of the film', async () => {
  const { film, tracks } = await packaged('tail.mp4', `${pictures(2)} ${sound(20)} ${H264} -c:a aac`)
  for (const [index, { layout }] of film.renditions.entries()) {
    const seconds = layout.segments.reduce((sum, segment) => sum + segment[2], 0)
    expect(Math.abs(seconds - 20)).toBeLessThan(0.1)
    const [, audio] = await decoded(at(`tail-${index}.mp4`), tracks[index] ?? new Uint8Array())
    expect(Math.abs(Number(audio?.duration) - 20)).toBeLessThan(0.1)
  }
})

test('a choice of sound lies apart from the pictures, with languages; text subtitles become WebVTT', async () => {
  await writeFile(at('words.srt'), '1\n00:00:01,000 --> 00:00:02,000\nHello <i>there</i>\n')
  const inputs = `${pictures(5, '320x180')} ${sound(5)} ${sound(5, 880)} -i ${at('words.srt')}`
  const labels = '-metadata:s:a:0 language=ger -metadata:s:a:1 language=eng -metadata:s:a:1 title=Comments'
  const subtitles = '-c:s srt -metadata:s:s:0 language=fra -disposition:s:0 forced'
  const maps = '-map 0 -map 1 -map 2 -map 3 -disposition:a:0 0 -disposition:a:1 default'
  const { film, tracks } = await packaged('choice.mkv', `${inputs} ${maps} ${H264} -c:a aac ${labels} ${subtitles}`)
  expect(film.renditions.map(({ codecs }) => codecs)).toEqual(['avc1.640015'])
  expect(film.audio).toMatchObject([
    { codecs: 'mp4a.40.2', language: 'en', name: 'Comments', isDefault: true },
    { codecs: 'mp4a.40.2', language: 'de', isDefault: false },
  ])
  for (const [index, bytes] of tracks.entries()) {
    const streams = await decoded(at(`choice-${index}.mp4`), bytes)
    expect(streams.map(each => each.codec_name)).toEqual([index === 0 ? 'h264' : 'aac'])
  }
  expect(film.audio[0]?.layout.segments.map(([, , seconds]) => Math.round(seconds))).toEqual([4, 1])
  expect(film.subtitles).toMatchObject([{ language: 'fr', isForced: true }])
  const text = new TextDecoder().decode(await film.subtitles[0]?.text)
  expect(text).toMatch(/^WEBVTT\s+00:01\.0\d\d --> 00:02\.0\d\d\s+Hello <i>there<\/i>/)
})

test('pictures are shown as they are meant: turned, square, even, SDR, whole', async () => {
  const turned = await packaged('turned.mp4', `${pictures(1, '320x180')} ${H264}`)
  expect(turned.film.renditions[0]).toMatchObject({ width: 320, height: 180 })
  await ffmpeg(`-display_rotation:v:0 90 -i ${at('turned.mp4')} -c copy ${at('side.mp4')}`).catch(() =>
    ffmpeg(`-i ${at('turned.mp4')} -c copy -metadata:s:v:0 rotate=90 ${at('side.mp4')}`),
  )
  const side = await packageOne('side.mp4')
  expect(side.video).toMatchObject({ width: 180, height: 320 })
  const wide = await packaged('wide.mp4', `${pictures(1, '180x180')} -vf setsar=2 ${H264}`)
  const [shown] = await decoded(at('wide-0.mp4'), wide.tracks[0] ?? new Uint8Array())
  expect(shown).toMatchObject({ width: 360, height: 180, sample_aspect_ratio: '1:1' })
  await ffmpeg(`${pictures(1)} -vf scale=333:187,setsar=1 -pix_fmt yuv444p -c:v ffv1 ${at('odd.mkv')}`)
  expect((await packageOne('odd.mkv')).video).toMatchObject({ width: 334, height: 188, pix_fmt: 'yuv420p' })
  const hdr = '-c:v libx265 -preset ultrafast -x265-params log-level=none -pix_fmt yuv420p10le'
  const colours = '-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc'
  await ffmpeg(`${pictures(1, '320x180')} ${hdr} ${colours} ${at('hdr.mkv')}`)
  expect((await packageOne('hdr.mkv')).video).toMatchObject({ pix_fmt: 'yuv420p', color_transfer: 'bt709' })
  await ffmpeg(`${pictures(1, '320x180')} -vf tinterlace=4 -c:v mpeg2video -flags +ilme+ildct ${at('half.ts')}`)
  expect((await packageOne('half.ts')).film.renditions).toHaveLength(1)
})

test('irregular and fast pictures keep their times: none is doubled, and sixty a second are the most', async () => {
  await ffmpeg(`${pictures(2, '320x180', '120')} ${H264} ${at('fast.mp4')}`)
  const fast = await packageOne('fast.mp4')
  expect(fast.film.renditions[0]?.frameRate).toBe(60)
  expect(fast.frames).toBe(120)
  await ffmpeg(
    `${pictures(6, '320x180', '10')} -vf select=not(between(t\\,1\\,5)) -fps_mode vfr ${H264} ${at('gap.mkv')}`,
  )
  const gap = await packageOne('gap.mkv')
  expect(gap.frames).toBe(19)
})

test('a song is one rendition of sound; its cover is a picture and no film', async () => {
  const cover = `${sound(9)} ${pictures(1, '200x100')} -map 0 -map 1 -frames:v 1 -c:v mjpeg -disposition:v attached_pic`
  const { film, tracks } = await packaged('song.mp3', cover)
  expect(film.renditions).toMatchObject([{ codecs: 'mp4a.40.2' }])
  expect(film.storyboard).toBeNull()
  expect(await decoded(at('song.mp4'), tracks[0] ?? new Uint8Array())).toHaveLength(1)
  const { preview, poster } = await (await ladder()).pictures(inputOf(at('song.mp3')), never)
  expect(preview).toMatchObject({ width: 200, height: 100 })
  expect(await decoded(at('cover.jpg'), poster ?? new Uint8Array())).toMatchObject([{ width: 200, height: 100 }])
})

test('a storyboard lays its pictures out as it says', async () => {
  const { film } = await packaged('board.mp4', `${pictures(12, '320x180')} ${H264}`)
  const board = await film.storyboard
  expect(board).toMatchObject({ everySeconds: 1, columns: 10, rows: 2, tileWidth: 160, tileHeight: 90 })
  expect(board?.sheets).toHaveLength(1)
  const [sheet] = await decoded(at('sheet.jpg'), board?.sheets[0] ?? new Uint8Array())
  expect(sheet).toMatchObject({ width: 1600, height: 180 })
})

test('images have a poster and a preview in the shape that they are shown in', async () => {
  const packager = await ladder()
  for (const name of ['image.png', 'image.gif', 'image.jpg', 'image.webp', 'image.bmp', 'no%03dpattern.jpg']) {
    await ffmpeg(`${pictures(1, '700x350')} -frames:v 1 -update 1 ${at('image.png')}`)
    await ffmpeg(`-i ${at('image.png')} -frames:v 1 -update 1 ${at(`made-${name.replace('%', '')}`)}`)
    await rename(at(`made-${name.replace('%', '')}`), at(name))
    const { preview, poster } = await packager.pictures(inputOf(at(name)), never)
    expect(preview).toMatchObject({ width: 700, height: 350 })
    const ratio = thumbHashToApproximateAspectRatio(fromBase64Url(preview.thumbHash ?? '') ?? [])
    expect(ratio).toBeGreaterThan(1.6)
    const [drawn] = await decoded(at('poster.jpg'), poster ?? new Uint8Array())
    expect(drawn).toMatchObject({ codec_name: 'mjpeg', width: 640, height: 320 })
  }
  await ffmpeg(`${sound(1)} ${at('voice.mp3')}`)
  expect(await packager.pictures(inputOf(at('voice.mp3')), never)).toEqual({ preview: {}, poster: null })
})

interface One {
  readonly film: PackagedFilm
  /** Of the best rendition. */
  readonly video: Stream | undefined
  readonly frames: number
}

async function packageOne(name: string): Promise<One> {
  const film = await (await ladder()).package(inputOf(at(name)), { signal: never })
  const [best] = await readTracks(film)
  const path = at(`${name}-packaged.mp4`)
  const [video] = await decoded(path, best ?? new Uint8Array())
  await film.storyboard
  return { film, video, frames: await countFrames(path) }
}
