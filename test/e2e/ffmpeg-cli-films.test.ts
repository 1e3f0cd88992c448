/** What `send` makes of films, and that they come back as they were. */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { createSealift, type Film } from '../../src/client/node/index.ts'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { films, type Films } from '../support/films.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'

const MIB = 1024 * 1024

let home: TempDirectory
let made: Films
let serving: Serving
let proxy: CountingProxy
let env: Record<string, string>
let cases = 0

beforeAll(async () => {
  home = await tempDirectory()
  made = await films()
  serving = await startServe(home.path, {
    transfer: { partBytes: '1MiB' },
    tiers: { default: { uploadBytesPerSecond: '4MiB' } },
  })
  proxy = await startCountingProxy(serving.url)
})

beforeEach(() => {
  cases += 1
  env = { XDG_STATE_HOME: join(home.path, `state-${cases}`), SEALIFT_SERVER: proxy.url, ...localEnv(serving.url) }
  proxy.resetCounts()
})

afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await serving[Symbol.asyncDispose]()
  await made[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const hash = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function send(...args: string[]) {
  const result = await runCli(['send', ...args], { env })
  expect(result).toMatchObject({ code: 0 })
  return { link: result.stdout.toString().trim(), stderr: result.stderr }
}

/** Brings a link back and compares it with the files. */
async function expectBack(link: string, paths: readonly string[]): Promise<void> {
  const inbox = join(home.path, `inbox-${cases}`)
  expect(await runCli(['get', link, '-o', inbox], { env })).toMatchObject({ code: 0 })
  expect((await readdir(inbox)).filter(name => !name.startsWith('.')).sort()).toEqual(
    paths.map(path => basename(path)).sort(),
  )
  for (const path of paths) expect(hash(await readFile(join(inbox, basename(path))))).toBe(hash(await readFile(path)))
}

async function filmsOf(link: string): Promise<(Film | null)[]> {
  await using sealift = createSealift({ stateDirectory: false })
  const parcel = await sealift.open(link)
  return parcel.items.map(item => parcel.film(item))
}

test('films are packaged, moved once, and come back byte for byte with everything else', async () => {
  const mp4 = await made.make({ seconds: 9, size: '640x360', gopFrames: 50 })
  const mkv = await made.make({ container: 'mkv', seconds: 5, audio: ['libopus'] })
  const note = join(home.path, 'note.txt')
  await writeFile(note, 'no film')
  const paths = [mp4, mkv, note]
  const { link } = await send('--no-previews', ...paths)
  const bytes = (await Promise.all(paths.map(path => readFile(path)))).reduce((sum, file) => sum + file.byteLength, 0)
  expect(proxy.sentBytes()).toBeLessThan(bytes * 1.1 + 100_000)
  const [first, second, none] = await filmsOf(link)
  expect(first?.description).toMatchObject({ state: 'complete', renditions: [{ width: 640, height: 360 }] })
  expect(first?.description.renditions[0]?.segments.length).toBeGreaterThan(1)
  expect(second?.description.renditions[0]?.codecs).toMatch(/opus/i)
  expect(none).toBeNull()
  await expectBack(link, paths)
})

test('what is no film, whatever its name, is sent as a file, with the reason', async () => {
  const path = join(home.path, 'holiday.mp4')
  await writeFile(path, createHash('sha512').update('noise').digest())
  const { link, stderr } = await send('--no-previews', path)
  expect(stderr).toMatch(/"holiday\.mp4" is sent as a file: .+/)
  expect(await filmsOf(link)).toEqual([null])
  await expectBack(link, [path])
})

test('a film that breaks off in the middle is sent as the file it is', async () => {
  const whole = await readFile(await made.make({ container: 'mkv', seconds: 9, size: '640x360', gopFrames: 50 }))
  const path = join(home.path, 'broken.mkv')
  await writeFile(path, Buffer.concat([whole.subarray(0, whole.byteLength / 2), Buffer.alloc(300_000, 0x55)]))
  const { link, stderr } = await send('--no-previews', path)
  expect(stderr).toMatch(/"broken\.mkv" is sent as a file: .+/)
  expect(await filmsOf(link)).toEqual([null])
  await expectBack(link, [path])
})

test('--film file sends no film', async () => {
  const path = await made.make({ seconds: 9, size: '640x360', gopFrames: 50 })
  const { link } = await send('--film', 'file', '--no-previews', path)
  expect(await filmsOf(link)).toEqual([null])
  await expectBack(link, [path])
})

test('--film ladder sends several qualities beside the file', async () => {
  const path = await made.make({ seconds: 5, size: '854x480' })
  const { link } = await send('--film', 'ladder', path)
  const [film] = await filmsOf(link)
  expect(film?.description.renditions.map(({ height }) => height)).toEqual([480, 240])
  expect(film?.item).toMatchObject({ hasThumbnail: true, preview: { width: 854, height: 480 } })
  await expectBack(link, [path])
})

test('without ffmpeg a film is sent in the quality it has, and that is said', async () => {
  const path = await made.make({ seconds: 9, size: '640x360', gopFrames: 50 })
  env['SEALIFT_FFMPEG'] = '/nonexistent/ffmpeg'
  const { link, stderr } = await send('--film', 'ladder', path)
  expect(stderr).toContain('no ffmpeg')
  const [film] = await filmsOf(link)
  expect(film?.description.renditions).toHaveLength(1)
  await expectBack(link, [path])
})

/** As the journal of the unfinished send knows them. */
async function finishedParts(): Promise<number> {
  const folder = join(env['XDG_STATE_HOME'] ?? '', 'sealift', 'sends')
  const names = await readdir(folder).catch(() => [])
  const journals = await Promise.all(names.map(name => readFile(join(folder, name), 'utf8')))
  return journals.join('').split('"part":').length - 1
}

describe('a send that is killed', () => {
  test('goes on with the parts of the film that were finished', async () => {
    const folder = join(home.path, 'killed')
    await mkdir(folder)
    const path = join(folder, 'long.mp4')
    await copyFile(await made.make({ seconds: 13, size: '1280x720', gopFrames: 50, options: ['-crf', '4'] }), path)
    const { byteLength } = await readFile(path)
    expect(byteLength).toBeGreaterThan(12 * MIB)
    // A file that has only just been written proves nothing by its times.
    await new Promise(resolve => setTimeout(resolve, 200))
    {
      await using running = startCli(['send', '--no-previews', path], { env })
      await until('parts have been finished', async () => (await finishedParts()) >= 4)
      running.child.kill('SIGKILL')
      await running.result
    }
    proxy.resetCounts()
    const { link, stderr } = await send('--no-previews', path)
    expect(stderr).toContain('going on with an earlier send')
    expect(proxy.sentBytes()).toBeLessThan(byteLength * 1.06 - 3 * MIB)
    expect((await filmsOf(link))[0]?.description.state).toBe('complete')
    await expectBack(link, [path])
  })
})

/** The note of the one item of a link. */
async function noteOf(link: string): Promise<string | null> {
  const listed = await runCli(['ls', link, '--json'], { env })
  const { items } = JSON.parse(listed.stdout.toString()) as { items: readonly { readonly note?: string }[] }
  const inbox = join(home.path, `noted-${cases}`)
  const got = await runCli(['get', link, '-o', inbox, '--json'], { env })
  const received = JSON.parse(got.stdout.toString()) as { items: readonly { readonly note?: string }[] }
  expect(received.items[0]?.note).toBe(items[0]?.note)
  const note = items[0]?.note ?? null
  expect(listed.stderr).toContain(note ?? '')
  expect(got.stderr).toContain(note ?? '')
  return note
}

describe('a film that is not packaged', () => {
  test('for its codec: sender and receiver read why', async () => {
    const path = await made.make({ video: 'mpeg4', seconds: 2 })
    const { link, stderr } = await send('--no-previews', path)
    expect(stderr).toContain('is sent as a file: Its video is in a format (mp4v) that cannot be copied.')
    expect(await noteOf(link)).toMatch(/^A plain file.*Its video is in a format \(mp4v\) that cannot be copied\.$/)
    expect(await filmsOf(link)).toEqual([null])
    await expectBack(link, [path])
  })

  test('since it turned out to be shorter than its file: the same, once that is known', async () => {
    const bytes = await readFile(await made.make({ container: 'mkv', seconds: 5 }))
    bytes.writeDoubleBE(20_000, bytes.indexOf(Buffer.from([0x44, 0x89, 0x88])) + 3)
    const path = join(home.path, 'longer.mkv')
    await writeFile(path, bytes)
    for (const live of [[], ['--live']]) {
      const { link, stderr } = await send('--no-previews', ...live, path)
      expect(stderr).toContain('is sent as a file: Of its 20.0 s, 5.0 s would play.')
      expect(await noteOf(link)).toMatch(/^A plain file.*Of its 20\.0 s, 5\.0 s would play\.$/)
      expect(await filmsOf(link)).toEqual([null])
    }
  })

  test('is shown by play, as text and as JSON', async () => {
    const path = await made.make({ video: 'mpeg4', seconds: 2 })
    const { link } = await send('--no-previews', path)
    await using playing = startCli(['play', link, '--json'], { env })
    await until('the note', () => playing.stdout().includes('"note"'))
    expect(playing.stderr()).toContain('Its video is in a format (mp4v)')
  })
})

test('a film whose audio cannot be copied goes once, with audio that plays, and comes back as it was', async () => {
  const path = await made.make({
    container: 'mov',
    audio: ['pcm_s16le'],
    seconds: 8,
    size: '1280x720',
    options: ['-qp', '12'],
  })
  const { byteLength } = await readFile(path)
  const { link, stderr } = await send('--no-previews', path)
  expect(proxy.sentBytes()).toBeLessThan(byteLength * 1.15 + 200_000)
  expect(stderr).toContain('Audio track 1 was encoded as AAC')
  const [film] = await filmsOf(link)
  expect(film?.description.audio?.map(({ codecs }) => codecs)).toEqual(['mp4a.40.2'])
  expect(await noteOf(link)).toContain('Audio track 1 was encoded as AAC')
  await expectBack(link, [path])
})
