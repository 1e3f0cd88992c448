import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { cutTrack, makeClip, outgoing, runProgram, type CutFilm } from '../support/ffmpeg-film.ts'
import { startPlay, type Playing } from '../support/playing.ts'
import { runSeed, seededRandom } from '../support/random.ts'
import { checkMaster, checkMedia } from '../support/rfc8216.ts'
import { clientIn, content, digest } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const SECONDS = 21
const VTT = 'WEBVTT\n\n00:01.000 --> 00:04.000\nHello\n'

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift
let film: CutFilm
let playing: Playing

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
  const clip = join(home.path, 'clip.mp4')
  await makeClip(clip, SECONDS)
  film = {
    rendition: await cutTrack(clip, join(home.path, 'video'), ['-map', '0:v:0']),
    audio: await cutTrack(clip, join(home.path, 'audio'), ['-map', '0:a:0']),
    subtitles: new Uint8Array(Buffer.from(VTT)),
  }
  const { link } = await sealift.send([
    { name: 'notes.txt', type: 'text/plain', source: content('notes', 1000) },
    { name: 'film.mp4', type: 'video/mp4', source: content('own', 100), film: await outgoing(film) },
  ])
  playing = await startPlay([link])
})

afterAll(async () => {
  await playing[Symbol.asyncDispose]()
  await sealift[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const quiet = ['-nostdin', '-v', 'error', '-xerror']

test('ffmpeg plays it to the end without an error, with every picture', async () => {
  const maps = ['-map', '0:v', '-map', '0:a', '-f', 'null', '-progress', 'pipe:1', '-']
  const decoded = await runProgram('ffmpeg', [...quiet, '-i', playing.url, ...maps])
  expect(decoded).toMatchObject({ code: 0, stderr: '' })
  expect(/.*frame=(\d+)/s.exec(decoded.stdout)?.[1]).toBe(String(SECONDS * 25))
})

test('ffmpeg shows the same pictures as of the file that was sent', async () => {
  const hashes = (input: string) => runProgram('ffmpeg', [...quiet, '-i', input, '-map', '0:v', '-f', 'framemd5', '-'])
  const played = await hashes(playing.url)
  expect(played.stdout.split('\n').filter(line => line.startsWith('0,'))).toHaveLength(SECONDS * 25)
  expect(played).toEqual(await hashes(film.rendition.path))
})

test('ffprobe finds pictures and sound, and its length', async () => {
  const shown = ['-show_entries', 'stream=codec_name,width:format=duration', '-of', 'json']
  const { code, stdout, stderr } = await runProgram('ffprobe', ['-v', 'error', ...shown, playing.url])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { streams, format } = JSON.parse(stdout) as { streams: { codec_name: string }[]; format: { duration: string } }
  expect(streams.map(stream => stream.codec_name).sort()).toEqual(['aac', 'h264'])
  expect(Number(format.duration)).toBeCloseTo(SECONDS, 1)
})

// The HLS reader of ffmpeg 5 and 6 shows garbage after a seek in fragmented MP4, in what ffmpeg itself has cut too.
test('ffmpeg seeks to twenty places of a track and shows the picture that is there', async () => {
  const pictures = (args: readonly string[]) =>
    runProgram('ffmpeg', [...quiet, ...args, '-map', '0:v', '-f', 'framemd5', '-']).then(({ stdout, ...rest }) => ({
      ...rest,
      hashes: stdout.split('\n').flatMap(line => (line.startsWith('0,') ? (line.split(',').at(-1)?.trim() ?? []) : [])),
    }))
  const all = await pictures(['-i', film.rendition.path])
  expect(all.hashes).toHaveLength(SECONDS * 25)
  const random = seededRandom(runSeed())
  for (let count = 0; count < 20; count += 1) {
    const picture = random.int(all.hashes.length - 1)
    const shown = await pictures(['-ss', (picture / 25).toFixed(2), '-i', playing.beside('r0.mp4'), '-frames:v', '1'])
    expect(shown).toEqual({ code: 0, stderr: '', hashes: [all.hashes[picture]] })
  }
})

test('its playlists keep to RFC 8216, and every range lies in its file', async () => {
  const master = checkMaster(await text('master.m3u8'))
  const lists = [...master.streams.map(({ uri }) => uri), ...master.media.map(each => each.get('URI')?.slice(1, -1))]
  expect(lists).toEqual(['r0.m3u8', 'a0.m3u8', 's0.m3u8'])
  for (const [index, track] of [film.rendition, film.audio].entries()) {
    const head = await fetch(playing.beside(index === 0 ? 'r0.mp4' : 'a0.mp4'), { method: 'HEAD' })
    const checked = checkMedia(await text(lists[index] ?? ''), Number(head.headers.get('content-length')))
    expect(checked).toMatchObject({ ended: true, type: 'VOD' })
    expect(checked.segments.map(({ range }) => range?.start)).toEqual(track?.segments.map(([offset]) => offset))
  }
  expect(checkMedia(await text('s0.m3u8')).segments).toMatchObject([{ uri: 's0.vtt' }])
  expect(await text('s0.vtt')).toBe(VTT)
})

test('a track is the file that was sent, as a whole', async () => {
  const bytes = await (await fetch(playing.beside('r0.mp4'))).bytes()
  const sent = await readFile(film.rendition.path)
  const last = film.rendition.segments.at(-1) ?? [0, 0]
  expect(digest(bytes)).toBe(digest(sent.subarray(0, last[0] + last[1])))
})

async function text(name: string): Promise<string> {
  const response = await fetch(playing.beside(name))
  expect(response.status).toBe(200)
  return response.text()
}
