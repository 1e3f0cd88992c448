import { chmod, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { byteFilm, trackContent } from '../support/byte-film.ts'
import { eventually } from '../support/eventually.ts'
import { startPlay } from '../support/playing.ts'
import { runCli, startCli } from '../support/running-cli.ts'
import { clientIn, content, digest } from '../support/sdk.ts'
import { storedMedia } from '../support/stored-bytes.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
const track = trackContent('track', 3 * MIB)
const file = content('file', 5000)

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift
let link: string

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
  const films = ['first.mp4', 'holiday/second.mp4'].map(name => ({
    name,
    type: 'video/mp4',
    source: content(name, 200),
    film: byteFilm(track),
  }))
  const sent = await sealift.send([{ name: 'notes.txt', type: 'text/plain', source: file }, ...films])
  link = sent.link
})

afterAll(async () => {
  await sealift[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

/** A program that does this with the address it is given. */
async function player(name: string, script: string): Promise<string> {
  const path = join(home.path, name)
  await writeFile(path, `#!${process.execPath}\nconst url = process.argv[2]\n${script}\n`)
  await chmod(path, 0o755)
  return path
}

test('the first film is the last line, all films are listed, and Ctrl-C ends it', async () => {
  await using playing = await startPlay([link])
  expect(playing.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/1\/master\.m3u8$/)
  const [first, second] = playing.running.stdout().split('\n')
  expect(first).toMatch(/^2 {2}http:\S+\/1\/master\.m3u8 {2}first\.mp4$/)
  expect(second).toMatch(/^3 {2}http:\S+\/2\/master\.m3u8 {2}holiday\/second\.mp4$/)
  expect(digest(await (await fetch(playing.beside('r0.mp4'))).bytes())).toBe(digest(track))
  playing.running.child.kill('SIGINT')
  const { code, stderr } = await playing.running.result
  expect(code).toBe(130)
  expect(stderr).toMatch(/Stopped\.\n$/)
  await expect(fetch(playing.url)).rejects.toBeInstanceOf(TypeError)
})

test.each([
  ['1', '/0/file/notes.txt'],
  ['3', '/2/master.m3u8'],
  ['second*', '/2/master.m3u8'],
  ['*.txt', '/0/file/notes.txt'],
])('item %s is the one at %s', async (item, path) => {
  await using playing = await startPlay([link, item, '--quiet'])
  expect(playing.url.endsWith(path)).toBe(true)
  expect(playing.running.stderr()).toBe('')
})

test('with --json it prints one object, and nothing more when it is stopped', async () => {
  await using running = startCli(['play', '--json', link])
  await eventually('it tells an address', () => running.stdout().endsWith('\n'), 30_000)
  const told = JSON.parse(running.stdout()) as { url: string; items: { name: string; url: string; film: boolean }[] }
  expect(told).toMatchObject({ ok: true, item: 1, items: [{ film: false }, { film: true }, { film: true }] })
  expect(told.url).toBe(told.items[1]?.url)
  expect(digest(await (await fetch(told.items[0]?.url ?? '')).bytes())).toBe(digest(file))
  running.child.kill('SIGTERM')
  const { code, stdout } = await running.result
  expect([code, stdout.toString().split('\n').length]).toEqual([143, 2])
})

test('an item that is not there, and a port that is taken, are said', async () => {
  const missing = await runCli(['play', link, '*.mov'])
  expect([missing.code, missing.stdout.toString()]).toEqual([2, ''])
  expect(missing.stderr).toContain('`sealift ls` lists them')
  const taken = createServer().listen(0, '127.0.0.1')
  await eventually('it listens', () => taken.listening)
  const { port } = taken.address() as AddressInfo
  const busy = await runCli(['play', link, '--port', String(port)])
  taken.close()
  expect([busy.code, busy.stdout.toString()]).toEqual([1, ''])
  expect(busy.stderr).toContain(`Port ${port} is in use already. Choose another with --port`)
})

test('a player is started with the address, and the command ends with it', async () => {
  const good = await player('good', "fetch(url).then(a => a.text()).then(t => console.log('saw', t.slice(0, 7)))")
  const played = await runCli(['play', link, '--open', good])
  expect([played.code, played.stderr.includes('saw #EXTM3U')]).toEqual([0, true])
  expect(played.stdout.toString().trimEnd().split('\n').at(-1)).toMatch(/master\.m3u8$/)
  const bad = await player('bad', 'process.exitCode = 3')
  const failed = await runCli(['play', link, '--open', bad])
  expect([failed.code, failed.stderr.includes('The player ended with code 3.')]).toEqual([1, true])
  const none = await runCli(['play', link, '--open', 'no-such-player; touch x'])
  expect([none.code, none.stderr.includes('there is no such program on the PATH')]).toEqual([2, true])
})

test('bytes that were altered are said in one line, and make a player that ended well a failure', async () => {
  const before = new Set((await storedMedia(server.live.current)).map(({ name }) => name))
  const sent = await sealift.send([{ name: 'bad.mp4', source: content('bad', 100), film: byteFilm(track) }])
  for (const stored of (await storedMedia(server.live.current)).filter(({ name }) => !before.has(name))) {
    const bytes = await stored.read()
    bytes[bytes.byteLength >> 1] = (bytes[bytes.byteLength >> 1] ?? 0) ^ 1
    await stored.write(bytes)
  }
  const script = `const file = url.replace('master.m3u8', 'r0.mp4')
const whole = () => fetch(file).then(a => a.bytes()).then(b => console.log('whole', b.length), () => console.log('cut'))
whole().then(whole)`
  const played = await runCli(['play', sent.link, '--open', await player('reads', script)])
  expect(played.code).toBe(1)
  expect(played.stderr.match(/^cut$/gm)).toHaveLength(2)
  expect(played.stderr).not.toContain('whole')
  expect(played.stderr.match(/^sealift: bad\.mp4: This item was altered/gm)).toHaveLength(1)
})
