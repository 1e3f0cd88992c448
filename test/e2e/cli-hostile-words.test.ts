/** What a server or a link's sender says reaches the terminal as text and nothing else, in every command. */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { runCli } from '../../src/cli/program.ts'
import { isPassing } from '../../src/client/wire/retrier.ts'
import { SealiftError, WIRE_ERRORS, type WireErrorCode } from '../../src/protocol/errors.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import { fakeIo, FakeTerminal, type FakeIo } from '../unit/cli/fake-io.ts'

/** Title, clipboard, cleared screen, eight-bit control, direction, faked line, lone surrogate. */
const WORDS =
  '\u001b]0;owned\u0007\u001b]52;c;b3duZWQ=\u0007\u001b[2J\u009b31m\u202eexe\u2066\r\nsealift: Sent 3 items\u2028\0\u007f\ud800 end'
const RAW = /(?!\n)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/u
const KEY = 'A'.repeat(43)
/** Every refusal that is not tried again, words that are none of ours, and success with a body that is none. */
const PROBLEMS = [
  ...(Object.keys(WIRE_ERRORS) as WireErrorCode[])
    .filter(code => !isPassing(new SealiftError(code, '')))
    .map(code => ({ status: WIRE_ERRORS[code].status as number, code: code as string })),
  { status: 418, code: '' },
  { status: 200, code: '' },
]

let home: TempDirectory
let honest: TestServer
let hostile: Server
let response: { status: number; code: string }
let hostileUrl: string
let hostileLink: string
/** On the honest server, with hostile names and types. */
let namesLink: string

beforeAll(async () => {
  home = await tempDirectory()
  vi.stubEnv('XDG_STATE_HOME', join(home.path, 'xdg'))
  honest = await startTestServer()
  hostile = createServer((req, res) => {
    const { status, code } = response
    const said = { type: WORDS, title: WORDS, detail: WORDS, instance: WORDS, limit: WORDS, extra: WORDS }
    const body = JSON.stringify({
      ...said,
      status,
      code: code === '' ? WORDS : code,
      value: 5,
      remaining: 1,
      version: WORDS,
    })
    req.resume().once('end', () => {
      res.writeHead(status, { 'content-type': 'application/problem+json', 'content-length': Buffer.byteLength(body) })
      res.end(req.method === 'HEAD' ? undefined : body)
    })
  }).listen(0, '127.0.0.1')
  await once(hostile, 'listening')
  hostileUrl = `http://127.0.0.1:${(hostile.address() as AddressInfo).port}`
  hostileLink = `${hostileUrl}/p/${'a'.repeat(26)}#${KEY}`
  await mkdir(join(home.path, 'folder'))
  await writeFile(join(home.path, 'folder', 'a.txt'), 'hello')
  await using sealift = clientIn(home.path, { server: honest.url })
  const source = new TextEncoder().encode('hello')
  const items = [WORDS, `${WORDS}/${WORDS}`, '.hidden'].map(name => ({ name, type: WORDS, source }))
  namesLink = (await sealift.send(items)).link
})

afterAll(async () => {
  vi.unstubAllEnvs()
  hostile.closeAllConnections()
  await new Promise(resolve => hostile.close(resolve))
  await honest.stop()
  await home[Symbol.asyncDispose]()
})

let runs = 0
async function run(
  args: readonly string[],
  over: Partial<FakeIo> = {},
): Promise<{ out: string; err: string; code: number }> {
  const io = { ...fakeIo({ SEALIFT_SERVER: hostileUrl, XDG_STATE_HOME: join(home.path, 'xdg') }), ...over }
  const code = await runCli(args, io)
  return { out: io.out(), err: io.err(), code }
}

function expectHarmless(text: string): void {
  expect(text).not.toMatch(RAW)
  expect(text.isWellFormed()).toBe(true)
  for (const line of text.split('\n')) expect(line).not.toMatch(/^sealift: Sent/)
}

const commands = (link: string): Record<string, string[]> => ({
  send: ['send', join(home.path, 'folder')],
  'send --live': ['send', '--live', join(home.path, 'folder')],
  publish: ['publish', '--settle', '0', join(home.path, 'folder')],
  get: ['get', link, '-o', join(home.path, `in ${(runs += 1)}`)],
  'get --hidden': ['get', '--hidden', link, '-o', join(home.path, `in ${(runs += 1)}`)],
  ls: ['ls', link],
  play: ['play', link],
  'play of nothing': ['play', link, WORDS],
  forward: ['forward', link],
  rm: ['rm', link],
  doctor: ['doctor', '--server', link.slice(0, link.indexOf('/p/'))],
})

describe.each([['for people'], ['--json']])("a hostile server's words, %s", mode => {
  test.each(PROBLEMS)('$status $code are harmless, whatever the command', async problem => {
    response = problem
    for (const args of Object.values(commands(hostileLink))) {
      const { out, err, code } = await run(mode === '--json' ? [...args, '--json'] : args)
      expectHarmless(out)
      expectHarmless(err)
      // `publish` prints an object for what was published, and none for what was not.
      const objects = mode === '--json' ? out.split('\n').filter(line => line !== '') : []
      for (const object of objects) expect(JSON.parse(object)).toMatchObject({ ok: code === 0 })
    }
  })
})

/** A command that goes on until it is stopped. */
async function untilPrinted(args: readonly string[]): Promise<{ out: string; err: string }> {
  const io = fakeIo({ SEALIFT_SERVER: honest.url })
  const running = runCli(args, io)
  await vi.waitUntil(() => io.out().includes('\n'), { timeout: 20_000 })
  io.abort.abort(new Error('enough'))
  await running
  return { out: io.out(), err: io.err() }
}

describe.each([['for people'], ['--json']])('hostile names and types, %s', mode => {
  const with_ = (args: readonly string[]): string[] => (mode === '--json' ? [...args, '--json'] : [...args])

  test.each(['get', 'get --hidden', 'ls'])('are harmless in %s', async name => {
    const { out, err } = await run(with_(commands(namesLink)[name] ?? []))
    expectHarmless(out)
    expectHarmless(err)
    expect(out + err).toContain('owned')
  })

  test('are harmless in play, also in what a player is given', async () => {
    const { out, err } = await untilPrinted(with_(['play', namesLink]))
    expectHarmless(out)
    expectHarmless(err)
    const [url = ''] = /http:\/\/127[^\s"]+/.exec(out) ?? []
    expectHarmless(decodeURIComponent(url))
    expect(url).not.toBe('')
  })

  test('are harmless when standard output takes one item of several', async () => {
    if (mode === '--json') return
    const { err, out } = await run(['get', namesLink, '--stdout'])
    expectHarmless(err)
    expect(out).toBe('')
  })
})

test('bars move the cursor by their own sequences alone, whatever the names', async () => {
  const terminal = new FakeTerminal({ columns: 100, rows: 30 }, true)
  const io = { ...fakeIo({ SEALIFT_SERVER: honest.url, LANG: 'C.UTF-8' }), stderr: terminal }
  expect(await runCli(['get', namesLink, '-o', join(home.path, 'bars')], io)).toBe(0)
  // oxlint-disable-next-line no-control-regex
  const others = terminal.writes.join('').replaceAll(/\u001b\[(?:\d+A|J|(?:0|1|2|33|36)m)|\r(?=\u001b)/g, '')
  expectHarmless(others)
  expect(terminal.writes.join('')).toContain('\u001b[J')
})

test('what --json prints means what was said, hostile or not', async () => {
  const { out } = await run(['ls', namesLink, '--json'])
  const { items } = JSON.parse(out) as { items: { name: string; type: string }[] }
  expect(items.map(({ name }) => name)).toEqual([WORDS, `${WORDS}/${WORDS}`, '.hidden'])
})

test('nothing but the one writer writes to the streams of a command', () => {
  const folder = join(import.meta.dirname, '../../src/cli')
  const writers = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .filter(name =>
      /\b(?:stdout|stderr|stream)\??\.write\(|\bconsole\.\w+\(|\.cork\(/.test(readFileSync(join(folder, name), 'utf8')),
    )
  // `main.ts` speaks on a Node that cannot load anything else.
  expect(writers.sort()).toEqual(['main.ts', 'terminal/writer.ts'])
})
