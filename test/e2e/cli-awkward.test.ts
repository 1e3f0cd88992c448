import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync } from 'node:fs'
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer, request as ask } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const MODIFIED = new Date('2001-02-03T04:05:06.789Z')

const home = mkdtempSync(join(tmpdir(), 'sealift-awkward-'))
const file = join(home, 'a.txt')
let serving: Serving
let env: Record<string, string>

beforeAll(async () => {
  serving = await startServe(home)
  env = { XDG_STATE_HOME: join(home, 'state'), SEALIFT_SERVER: serving.url, ...localEnv(serving.url) }
  await writeFile(file, 'hello')
  await utimes(file, MODIFIED, MODIFIED)
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  await rm(home, { recursive: true, force: true })
})

/** With a standard stream of its own kind. */
async function runWith(stdio: readonly [number | 'ignore', number | 'pipe'], args: readonly string[]) {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { PATH: process.env['PATH'] ?? '', HOME: home, ...env },
    stdio: [stdio[0], stdio[1], 'pipe'],
  })
  let stderr = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stderr }
}

const linkOf = (stdout: Buffer): string => stdout.toString().trim()

async function sendFile(...more: readonly string[]): Promise<string> {
  const sent = await runCli(['send', file, '-q', ...more], { env })
  expect(sent.code, sent.stderr).toBe(0)
  return linkOf(sent.stdout)
}

test('a state directory that cannot be made stops no send; what that means is said', async () => {
  const sent = await runCli(['send', file, '-q'], { env: { ...env, XDG_STATE_HOME: '/proc/x' } })
  expect(sent.code, sent.stderr).toBe(0)
  expect(sent.stderr).toContain('/proc/x')
  expect(sent.stderr).toContain('cannot be resumed')
  const got = await runCli(['get', linkOf(sent.stdout), '--stdout'], { env })
  expect(got.stdout.toString()).toBe('hello')
})

test('a folder that a file system does not take fails at once, with the reason', async () => {
  const got = await runCli(['get', await sendFile(), '-o', '/proc/x'], { env })
  expect(got.code).toBe(1)
  expect(got.stderr).toContain('/proc/x')
  expect(got.stderr).toContain('this file system does not support it')
})

test('a token with a line break at its end is trimmed; one that no header takes is told at once, and not shown', async () => {
  const trimmed = await runCli(['send', file, '-q'], { env: { ...env, SEALIFT_TOKEN: 'abc\n' } })
  expect(trimmed.stderr).not.toContain('connection')
  expect(trimmed.stderr).toContain('--token')
  const bad = await runCli(['send', file], { env: { ...env, SEALIFT_TOKEN: 'secret\nkey' } })
  expect(bad.code).toBe(1)
  expect(bad.stderr).toContain('The token holds')
  expect(bad.stderr).not.toContain('secret')
})

test('a folder on standard input is refused, and a pipe by its name points at -', async () => {
  const folder = await runWith([openSync(home, 'r'), 'pipe'], ['send', '-'])
  expect(folder.code).toBe(2)
  expect(folder.stderr).toContain('Standard input is a folder')
  const pipe = join(home, 'pipe')
  execFileSync('mkfifo', [pipe])
  const sent = await runCli(['send', pipe], { env })
  expect(sent.code).toBe(1)
  expect(sent.stderr).toContain(`sealift send - --name NAME < ${pipe}`)
})

test('files that claim to be empty go with what is in them', async () => {
  const sent = await runCli(['send', '/proc/version', '-q'], { env })
  const got = await runCli(['get', linkOf(sent.stdout), '--stdout'], { env })
  expect(got.stdout.toString()).toBe(await readFile('/proc/version', 'utf8'))
})

test.each([[[]], [['--json']], [['--live']]])('a full standard output loses no link (%j)', async more => {
  const sent = await runWith(['ignore', openSync('/dev/full', 'w')], ['send', file, '-q', ...more])
  expect(sent.code).toBe(1)
  expect(sent.stderr).toContain('the disk is full')
  const link = /^http:\S+#\S+$/m.exec(sent.stderr)?.[0] ?? ''
  expect((await runCli(['get', link, '--stdout'], { env })).stdout.toString()).toBe('hello')
})

test('times are carried and restored, unless either side does not want it', async () => {
  const timeOf = async (link: string, name: string, ...more: readonly string[]): Promise<number> => {
    const directory = join(home, name)
    await mkdir(directory)
    const got = await runCli(['get', link, '-o', directory, '-q', ...more], { env })
    expect(got.code, got.stderr).toBe(0)
    return (await stat(join(directory, 'a.txt'))).mtime.getTime()
  }
  const carried = await sendFile()
  expect(await timeOf(carried, 'carried')).toBe(MODIFIED.getTime())
  expect(await timeOf(carried, 'not-taken', '--no-times')).toBeGreaterThan(MODIFIED.getTime() + 1e9)
  expect(await timeOf(await sendFile('--no-times'), 'not-told')).toBeGreaterThan(MODIFIED.getTime() + 1e9)
})

test('a proxy that takes no whole part is found by doctor, and its 413 told as what it is', async () => {
  const proxy = createServer((request, response) => {
    if (Number(request.headers['content-length'] ?? 0) > 1_000_000) {
      response.writeHead(413).end('too large')
      return
    }
    const onward = { method: request.method, headers: request.headers }
    request.pipe(
      ask(new URL(request.url ?? '', serving.url), onward, answer => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      }),
    )
  })
  await new Promise<void>(resolve => void proxy.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const found = await runCli(['doctor', '--server', url], { env })
  proxy.closeAllConnections()
  proxy.close()
  expect(found.code).toBe(1)
  expect(found.stdout.toString()).toMatch(/ok +round trip/)
  expect(found.stdout.toString()).toMatch(/fail +whole part .*client_max_body_size/)
})

test.each(['::1', '[::1]'])('serve listens on --host %s', async host => {
  await using running = startCli(['serve', '--host', host, '--port', '0', '--data', join(home, `data ${host}`)], {
    env: { ...env, SEALIFT_ADMIN_PORT: '0' },
  })
  await until('it listens', () => running.stdout().includes('Metrics'))
  expect(running.stdout()).toContain('Sealift listens on http://[::1]:')
})

test('durations in messages are for people', async () => {
  const sent = await runCli(['send', file, '--ttl', '400d'], { env })
  expect(sent.code).toBe(1)
  expect(sent.stderr).toContain('at most 90 days')
})
