import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'

import { CannotPackage } from '../../../src/video/index.ts'
import type { LadderLimits } from '../../../src/video/node.ts'
import { ffmpeg, H264, inputOf, ladder, pictures, readTracks } from '../../support/ffmpeg.ts'
import { hugePng, manyTracks, withSlowClocks } from '../../support/hostile-films.ts'
import { tempDirectory, type TempDirectory } from '../../support/temp-directory.ts'

const never = new AbortController().signal

let home: TempDirectory
let listener: Server
let connections = 0
let address: string
let film: Uint8Array

beforeAll(async () => {
  home = await tempDirectory()
  await mkdir(at('tmp'))
  vi.stubEnv('TMPDIR', at('tmp'))
  listener = createServer(socket => {
    connections++
    socket.destroy()
  })
  await once(listener.listen(0, '127.0.0.1'), 'listening')
  address = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
  await ffmpeg(`${pictures(1, '64x36')} ${H264} ${at('film.mp4')}`)
  film = await readFile(at('film.mp4'))
})

afterEach(async () => {
  if (connections > 0) throw new Error('Something connected')
  if ((await readdir(at('tmp'))).length > 0) throw new Error('Something is left')
})

afterAll(async () => {
  vi.unstubAllEnvs()
  listener.close()
  await home[Symbol.asyncDispose]()
})

const at = (name: string): string => join(home.path, name)

async function refusal(path: string, limits: Partial<LadderLimits> = {}): Promise<string> {
  const packager = await ladder(limits)
  const error: unknown = await packager.package(inputOf(path), { signal: never }).catch(error => error)
  if (!(error instanceof CannotPackage)) throw new Error('It was not refused', { cause: error })
  return error.message
}

const playlist = (...lines: readonly string[]): string =>
  ['#EXTM3U', '#EXT-X-TARGETDURATION:10', ...lines.flatMap(each => ['#EXTINF:10.0,', each]), '#EXT-X-ENDLIST'].join(
    '\n',
  )

test.each([
  ['a playlist of local files', 'a.m3u8', () => playlist('file:///etc/passwd')],
  ['a playlist that points at a host', 'b.mp4', () => playlist(`${address}/a.ts`)],
  ['a playlist that joins files and hosts', 'c.avi', () => playlist(`concat:${address}/head|file:///etc/passwd`)],
  ['a DASH manifest', 'd.mpd', () => `<MPD><Period><BaseURL>${address}/</BaseURL></Period></MPD>`],
  ['a script that joins files', 'e.mkv', () => `ffconcat version 1.0\nfile ${address}/a.mp4\nfile /etc/passwd\n`],
  ['a session description', 'f.sdp', () => 'v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n'],
  [
    'a drawing that refers to others',
    'g.svg',
    () => `<svg><image href="${address}/x"/><image href="/etc/passwd"/></svg>`,
  ],
  ['text', 'h.mp4', () => 'Nothing but words.'.repeat(1000)],
  ['noise', 'i.ts', () => Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919 * 31) >> 3))],
])('%s is refused: nothing is opened that it names', async (_, name, content) => {
  await writeFile(at(name), content())
  expect(await refusal(at(name))).toContain('finds no video or audio')
})

test.each([
  '-i.mp4',
  'subfile,,start,0,end,9,,:film.mp4',
  'concat:film.mp4|film.mp4',
  'data:text.mp4',
  'http:host.mp4',
  'film%03d.mp4',
  "it's; $(touch x) `y` & \n more.mp4",
])('the name %j is a name', async name => {
  const path = at(name)
  await writeFile(path, film)
  const packaged = await (await ladder()).package(inputOf(path), { signal: never })
  const [track] = await readTracks(packaged)
  await packaged.storyboard
  expect(track?.byteLength).toBeGreaterThan(1000)
  await vi.waitFor(async () => expect(await readdir(at('tmp'))).toEqual([]), { timeout: 10_000 })
})

test('what is no regular file with bytes is refused before it is opened', async () => {
  await writeFile(at('empty.mp4'), '')
  execFileSync('mkfifo', [at('endless.mp4')])
  expect(await refusal(at('empty.mp4'))).toBe('The file is empty')
  expect(await refusal(at('endless.mp4'))).toBe('Only regular files can be packaged')
  expect(await refusal(home.path)).toBe('Only regular files can be packaged')
})

test('broken headers, a hundred thousand tracks and films that last for days are refused', async () => {
  await writeFile(at('half.mp4'), film.subarray(0, film.byteLength / 2))
  expect(await refusal(at('half.mp4'))).toContain('finds no video or audio')
  await writeFile(at('tracks.mp4'), manyTracks(100_000))
  await refusal(at('tracks.mp4'))
  await writeFile(at('days.mp4'), withSlowClocks(film))
  expect(await refusal(at('days.mp4'), { seconds: 900 })).toContain('lasts longer than')
})

test('a film with more streams than are looked at is refused', async () => {
  await ffmpeg(`${pictures(1, '64x36')} ${'-map 0 '.repeat(130)}-c:v mjpeg ${at('streams.mkv')}`)
  expect(await refusal(at('streams.mkv'))).not.toBe('')
})

test('films and images of too many pixels are refused before they are decoded', async () => {
  const small = await ladder({ pixels: 64 * 36 - 1 })
  await expect(small.package(inputOf(at('film.mp4')), { signal: never })).rejects.toThrow('The video is too large')
  await writeFile(at('bomb.png'), hugePng(30_000))
  const drawn = (await ladder()).pictures(inputOf(at('bomb.png')), never)
  await expect(drawn).rejects.toThrow(CannotPackage)
})
