import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { CannotPackage, createRemuxer } from '../../../src/video/index.ts'
import { CopyPackager, createRemuxThread } from '../../../src/video/node.ts'
import { ffmpeg, films, frameHashes } from '../../support/films.ts'
import type { FilmRecipe, Films } from '../../support/films.ts'
import { ladder } from '../../support/ffmpeg.ts'
import { packaged } from '../../support/packaged.ts'

let home: Films

beforeAll(async () => {
  home = await films()
})

afterAll(() => home[Symbol.asyncDispose]())

const refusal = (pattern: RegExp) => ({ name: 'CannotPackage', message: expect.stringMatching(pattern) })

test.each<FilmRecipe>([
  { video: 'mpeg4' },
  { container: 'mkv', video: 'mpeg4' },
  { container: 'ts', video: 'mpeg2video' },
])('a film whose video cannot be copied is no film of its audio alone: %j', async recipe => {
  const path = await home.make({ ...recipe, seconds: 2 })
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(refusal(/^Its video is in a format \(.+\)/))
})

test.each<FilmRecipe>([
  { container: 'm4a', audio: ['aac', 'aac'] },
  { container: 'm4a', audio: ['aac', 'ac3'] },
  { container: 'mkv', audio: ['ac3', 'aac'] },
])('audio without video of which a choice would be lost is a file: %j', async recipe => {
  const path = await home.make({ ...recipe, video: null, seconds: 1 })
  const reason = refusal(/^It has 2 audio tracks and no video, and only one of them would play$/)
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(reason)
})

test('a film of which no frame can be decoded is none', async () => {
  const path = await home.make({ container: 'webm', video: 'libvpx-vp9', audio: [], seconds: 1 })
  const bytes = await readFile(path)
  const sync = Buffer.of(0x49, 0x83, 0x42)
  for (let at = bytes.indexOf(sync); at !== -1; at = bytes.indexOf(sync)) bytes.fill(0, at, at + sync.byteLength)
  const broken = join(home.folder, 'no-frame.webm')
  await writeFile(broken, bytes)
  await expect(packaged(createRemuxer(), broken)).rejects.toMatchObject(refusal(/^Its video has no frame that can/))
})

test('an encrypted film, and a segment without its beginning, are refused for what they are', async () => {
  const key = '76a6c65c5ea762046bd749a2e632ccbb'
  const encryption = ['-encryption_scheme', 'cenc-aes-ctr', '-encryption_key', key, '-encryption_kid', key]
  const encrypted = await home.make({ seconds: 1, options: encryption })
  await expect(packaged(createRemuxer(), encrypted)).rejects.toMatchObject(refusal(/^Its video is .*encrypted/))
  const whole = await readFile(await home.make({ seconds: 1, options: ['-movflags', 'frag_keyframe+empty_moov'] }))
  const segment = join(home.folder, 'segment.mp4')
  const [start, moof] = [whole.readUInt32BE(0), whole.indexOf('moof') - 4]
  await writeFile(segment, Buffer.concat([whole.subarray(0, start), whole.subarray(moof)]))
  await expect(packaged(createRemuxer(), segment)).rejects.toMatchObject(refusal(/^It is a segment of a film/))
})

const UNCOPIED_AUDIO: readonly FilmRecipe[] = [
  { container: 'mov', audio: ['pcm_s16le'] },
  { container: 'mov', audio: ['alac'] },
  { container: 'mp4', audio: ['ac3'] },
  { container: 'mkv', audio: ['eac3'] },
  { container: 'mkv', audio: ['dca'] },
  { container: 'mkv', audio: ['pcm_s16le'] },
  { container: 'ts', audio: ['ac3'] },
  { container: 'ts', audio: ['mp2'] },
]

test.each(UNCOPIED_AUDIO)('a film whose audio cannot be copied is no film without it: %j', async recipe => {
  const path = await home.make({ ...recipe, seconds: 2 })
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(refusal(/^Its audio is in a format \(.+\)/))
})

test('audio that neither demuxer nor program table names is called unknown', async () => {
  const source = await home.make({ seconds: 2 })
  const path = join(home.folder, 'unnamed.m2ts')
  await ffmpeg('-i', source, '-c', 'copy', '-f', 'mpegts', '-mpegts_m2ts_mode', '1', path)
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(refusal(/^Its audio is in an unknown format/))
})

test.each(UNCOPIED_AUDIO)('with ffmpeg, its audio alone is encoded: %j', async recipe => {
  const path = await home.make({ ...recipe, seconds: 3 })
  const packager = new CopyPackager({ copy: createRemuxThread(), ladder: await ladder() })
  const { film, renditions, audio } = await packaged(packager, path)
  const [video, sound] = [renditions[0], audio[0]]
  if (!video || !sound || audio.length > 1) throw new Error('There is not one track of each')
  expect(film.notes).toEqual([expect.stringMatching(/^Audio track 1 was encoded as AAC: it is in a format/)])
  expect(sound.codecs).toBe('mp4a.40.2')
  const [pictures, heard] = [join(home.folder, 'video.mp4'), join(home.folder, 'audio.mp4')]
  await writeFile(pictures, video.content)
  await writeFile(heard, sound.content)
  expect(await frameHashes(pictures, '0:v', 'decoded')).toEqual(await frameHashes(path, '0:v', 'decoded'))
  const seconds = sound.layout.segments.reduce((sum, segment) => sum + segment[2], 0)
  expect(Math.abs(seconds - 3)).toBeLessThan(0.25)
})

test('audio that is encoded stays in step with the video', async () => {
  // Both begin anew after 1.5 s: a white picture, and a tone.
  const picture = `color=black:s=160x90:r=25:d=3,drawbox=c=white:t=fill:enable='gte(t,1.5)'`
  const tone = `aevalsrc='if(gte(t,1.5),sin(2764*t),0)':d=3`
  for (const name of ['step.mov', 'step.mkv']) {
    const path = join(home.folder, name)
    const coded = ['-c:v', 'libx264', '-bf', '2', '-c:a', 'pcm_s16le']
    await ffmpeg('-f', 'lavfi', '-i', picture, '-f', 'lavfi', '-i', tone, ...coded, path)
    const packager = new CopyPackager({ copy: createRemuxer(), ladder: await ladder() })
    const { renditions, audio } = await packaged(packager, path)
    const [pictures, heard] = [join(home.folder, 'video.mp4'), join(home.folder, 'audio.mp4')]
    await writeFile(pictures, renditions[0]?.content ?? '')
    await writeFile(heard, audio[0]?.content ?? '')
    const white = await firstTime(
      ['-i', pictures, '-vf', 'blackframe=amount=0:threshold=128,metadata=print:file=-'],
      /pblack=0$/,
    )
    const loud = await firstTime(
      [
        '-i',
        heard,
        '-af',
        'asetnsamples=480,astats=metadata=1:reset=1,ametadata=print:key=lavfi.astats.Overall.RMS_level:file=-',
      ],
      /RMS_level=-\d\.\d+$/,
    )
    expect(Math.abs(white - loud)).toBeLessThan(0.06)
  }
})

/** When a filter first prints what is looked for; times of the file, without edit lists and starts taken away. */
async function firstTime(filter: readonly string[], wanted: RegExp): Promise<number> {
  const printed = await ffmpeg('-copyts', '-ignore_editlist', '1', ...filter, '-f', 'null', '-')
  let time = Number.NaN
  for (const line of printed.split('\n')) {
    time = Number(/pts_time:(-?[\d.]+)/.exec(line)?.[1] ?? time)
    if (wanted.test(line)) return time
  }
  throw new Error('It never comes')
}

test('when ffmpeg fails too, it is a file, and nothing goes on', async () => {
  const path = await home.make({ container: 'mov', audio: ['pcm_s16le'], seconds: 3 })
  const encodeAudio = () => Promise.reject(new CannotPackage('ffmpeg makes nothing of the file'))
  const packager = new CopyPackager({ copy: createRemuxer(), ladder: { encodeAudio } })
  await expect(packaged(packager, path)).rejects.toMatchObject(
    refusal(/^Its audio is in a format .*; encoding it failed/),
  )
})

test('a Matroska track that its container compresses is missed', async () => {
  const recipe: FilmRecipe = { container: 'mkv', seconds: 2, options: ['-metadata:s:v', 'title=0123456789'] }
  const bytes = await readFile(await home.make(recipe))
  const title = bytes.indexOf(Buffer.from('536e', 'hex'))
  expect(bytes.toString('latin1', title + 2, title + 13)).toBe('\x8a0123456789')
  // ContentEncodings, ContentEncoding, ContentCompression: zlib.
  Buffer.from('6d808a6240875034844254810', 'hex').copy(bytes, title)
  bytes.writeUInt8(0, title + 12)
  const path = join(home.folder, 'compressed.mkv')
  await writeFile(path, bytes)
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(refusal(/^Its video is compressed/))
})

test('start codes where lengths should be: nothing can be shown of it', async () => {
  const bytes = await readFile(await home.make({ seconds: 2, gopFrames: 25, audio: [] }))
  // Whatever a unit is, it is hidden behind a start code.
  const mdat = bytes.indexOf('mdat') + 4
  const moov = bytes.indexOf('moov') - 4
  for (let at = mdat; at + 8 < (moov > mdat ? moov : bytes.byteLength);) {
    const length = bytes.readUInt32BE(at)
    if (length < 5 || at + 4 + length > bytes.byteLength) break
    bytes.writeUInt32BE(1, at + 4)
    at += 4 + length
  }
  const path = join(home.folder, 'start-codes.mp4')
  await writeFile(path, bytes)
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject(refusal(/^Its video/))
})

test('a film with a cover beside its video is a film of its video', async () => {
  const film = await home.make({ container: 'mkv', seconds: 2 })
  const path = join(home.folder, 'cover.mov')
  const cover = join(home.folder, 'picture.mov')
  await ffmpeg('-f', 'lavfi', '-i', 'color=red:s=64x64', '-frames:v', '1', '-c:v', 'mjpeg', cover)
  await ffmpeg('-i', cover, '-i', film, '-map', '0', '-map', '1', '-c', 'copy', path)
  const { renditions } = await packaged(createRemuxer(), path)
  expect(renditions[0]?.codecs).toMatch(/^avc1/)
})
