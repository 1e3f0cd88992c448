/** Films of all containers, under any name, as `send` and `publish` take them. */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { createSealift } from '../../src/client/node/index.ts'
import { ffmpeg } from '../support/films.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'

const NO_FFMPEG = { SEALIFT_FFMPEG: '/nonexistent/ffmpeg' }

let home: TempDirectory
let serving: Serving
let env: Record<string, string>
let cases = 0

const place = (name: string): string => join(home.path, name)

beforeAll(async () => {
  home = await tempDirectory()
  serving = await startServe(home.path)
  const source = [
    '-f',
    'lavfi',
    '-i',
    'testsrc2=size=128x72:rate=25:duration=1',
    '-f',
    'lavfi',
    '-i',
    'sine=duration=1',
  ]
  const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac']
  await ffmpeg(...source, ...h264, place('phone.3gp'))
  for (const [name, ...options] of [
    ['recording.ts', '-f', 'mpegts'],
    ['no-ending', '-f', 'mpegts', '-muxdelay', '0'],
    ['wrong.mp4', '-f', 'matroska'],
    ['clip.flv'],
  ])
    await ffmpeg('-i', place('phone.3gp'), '-c', 'copy', ...options, place(name ?? ''))
  await ffmpeg(...source, '-c:v', 'mpeg4', '-c:a', 'libmp3lame', place('old.avi'))
  await writeFile(place('main.ts'), "import { a } from './a.ts'\n")
})

beforeEach(() => {
  cases += 1
  env = { XDG_STATE_HOME: place(`state-${cases}`), SEALIFT_SERVER: serving.url, ...localEnv(serving.url) }
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function received(link: string) {
  await using sealift = createSealift({ stateDirectory: false })
  const parcel = await sealift.open(link)
  return parcel.items.map(item => ({ type: item.type, isFilm: parcel.film(item) !== null, note: item.note }))
}

async function sent(args: readonly string[], more: Record<string, string> = {}, stdin?: Uint8Array) {
  const options = { env: { ...env, ...more }, ...(stdin && { stdin }) }
  const { code, stdout, stderr } = await runCli(['send', '--no-previews', ...args], options)
  expect(code, stderr).toBe(0)
  return { stderr, items: await received(stdout.toString().trim()) }
}

test.each([
  ['phone.3gp', 'video/3gpp'],
  ['recording.ts', 'video/mp2t'],
  ['no-ending', 'video/mp2t'],
  ['wrong.mp4', 'video/x-matroska'],
])('%s is known by its content and copied, without ffmpeg', async (name, type) => {
  const { items } = await sent([place(name)], NO_FFMPEG)
  expect(items).toMatchObject([{ type, isFilm: true }])
})

test.each([
  ['old.avi', 'video/x-msvideo'],
  ['clip.flv', 'video/x-flv'],
])('%s is encoded, and that is said; without ffmpeg it goes as a file, and both sides read why', async (name, type) => {
  const encoded = await sent([place(name)])
  expect(encoded.stderr).toMatch(new RegExp(`"${name}" is encoded, since .+ cannot be copied`))
  expect(encoded.items).toMatchObject([{ type, isFilm: true }])
  env['XDG_STATE_HOME'] = place(`state-${cases}-without`)
  const plain = await sent([place(name)], NO_FFMPEG)
  expect(plain.stderr).toMatch(new RegExp(`"${name}" is sent as a file: .+ which takes ffmpeg`))
  expect(plain.items).toMatchObject([{ type, isFilm: false, note: expect.stringContaining('ffmpeg') as string }])
})

test('a TypeScript source stays text', async () => {
  const { items, stderr } = await sent([place('main.ts')])
  expect(items).toMatchObject([{ type: 'text/plain', isFilm: false }])
  expect(stderr).not.toContain('main.ts')
})

test.each([['clip.ts'], ['clip'], ['clip.mp4']])(
  'standard input under the name %s is known by its content; a film there is a file, with a reason',
  async name => {
    const film = await readFile(place('recording.ts'))
    const { items, stderr } = await sent(['-', '--name', name], {}, film)
    expect(stderr).toMatch(/is sent as a file: .*standard input/)
    expect(items).toMatchObject([
      { type: 'video/mp2t', isFilm: false, note: expect.stringMatching(/standard input/) as string },
    ])
  },
)

test('standard input that is text is text, also when it is short', async () => {
  const { items, stderr } = await sent(['-', '--name', 'main.ts'], {}, Buffer.from('export {}\n'))
  expect(items).toMatchObject([{ type: 'text/plain' }])
  expect(stderr).not.toContain('as a file')
})

test('publish knows them too', async () => {
  const folder = place('folder')
  await mkdir(folder)
  await copyFile(place('no-ending'), join(folder, 'landed'))
  const { code, stdout, stderr } = await runCli(['publish', folder, '--film', 'copy', '--settle', '0'], { env })
  expect(code, stderr).toBe(0)
  const link = stdout.toString().trim().split('\n').at(-1) ?? ''
  expect(await received(link)).toMatchObject([{ type: 'video/mp2t', isFilm: true }])
})

test('publish --json says why a film is a plain file', async () => {
  const folder = place('json')
  await mkdir(folder)
  await copyFile(place('old.avi'), join(folder, 'old.avi'))
  const options = ['--film', 'copy', '--settle', '0', '--json']
  const { code, stdout, stderr } = await runCli(['publish', folder, ...options], { env: { ...env, ...NO_FFMPEG } })
  expect(code, stderr).toBe(0)
  const told = JSON.parse(stdout.toString()) as unknown
  expect(told).toMatchObject({ name: 'json/old.avi', notes: [expect.stringContaining('ffmpeg') as string] })
})
