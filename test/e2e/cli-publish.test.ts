import { mkdtempSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'

import { startCountingProxy } from '../support/counting-proxy.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until, type RunningCli } from '../support/running-cli.ts'
import { content } from '../support/sdk.ts'
import { startServe, type Serving } from '../support/serving.ts'

const MIB = 2 ** 20

const home = mkdtempSync(join(tmpdir(), 'sealift-publish-'))
let serving: Serving
let env: Record<string, string>
let folder: string

beforeAll(async () => {
  serving = await startServe(home, {
    tiers: {
      default: { uploadBytesPerSecond: '40MiB', maxBytes: { other: '44MiB' } },
    },
  })
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  await rm(home, { recursive: true, force: true })
})

beforeEach(async () => {
  const own = mkdtempSync(join(home, 'case-'))
  folder = join(own, 'films')
  env = { XDG_STATE_HOME: join(own, 'state'), SEALIFT_SERVER: serving.url, ...localEnv(serving.url) }
  await mkdir(folder)
})

const command = (...more: string[]): string[] => ['publish', folder, '--film', 'file', '--settle', '0', ...more]

/** A file that is whole from the moment it is there. */
async function put(name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${folder}.tmp`, bytes)
  await rename(`${folder}.tmp`, join(folder, name))
}

const linksOf = (stdout: string): string[] => stdout.split('\n').filter(line => line.startsWith('http'))

async function bytesOf(link: string): Promise<Buffer> {
  const got = await runCli(['get', '--stdout', link], { env })
  expect(got.code, got.stderr).toBe(0)
  return got.stdout
}

async function linkAt(running: RunningCli, place: number): Promise<string> {
  await until(`there is link ${place}`, () => linksOf(running.stdout()).length > place)
  return linksOf(running.stdout())[place] ?? ''
}

test('each file of a folder gets a link of its own, once for each of its states', async () => {
  const files = { 'one.mp4': content('one', 3000), 'two.mp4': content('two', 70_000) }
  for (const [name, bytes] of Object.entries(files)) await put(name, bytes)
  await put('three.mp4.part', content('three', 10))
  const first = await runCli(command('--json'), { env })
  expect(first.code, first.stderr).toBe(0)
  const told = first.stdout
    .toString()
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as { ok: boolean; name: string; link: string })
  expect(told.map(({ name }) => name).sort()).toEqual(['films/one.mp4', 'films/two.mp4'])
  for (const { ok, name, link } of told) {
    expect(ok).toBe(true)
    expect((await bytesOf(link)).equals(files[name.slice('films/'.length) as keyof typeof files])).toBe(true)
  }
  const again = await runCli(command('--json'), { env })
  expect([again.code, again.stdout.toString()]).toEqual([0, ''])
  expect(again.stderr).toContain('2 files were published before and did not change.')
  const changed = content('one, changed', 4000)
  await put('one.mp4', changed)
  const third = await runCli(command(), { env })
  const links = linksOf(third.stdout.toString())
  expect([third.code, links.length]).toEqual([0, 1])
  expect((await bytesOf(links[0] ?? '')).equals(changed)).toBe(true)
})

test('what lands later is published, what is unfinished not before it has its name', async () => {
  await using running = startCli(command('--watch'), { env })
  await put('early.mp4', content('early', 1000))
  expect((await bytesOf(await linkAt(running, 0))).equals(content('early', 1000))).toBe(true)
  await put('late.mp4.part', content('late', 2000))
  await put('other.mp4', content('other', 500))
  expect((await bytesOf(await linkAt(running, 1))).equals(content('other', 500))).toBe(true)
  await rename(join(folder, 'late.mp4.part'), join(folder, 'late.mp4'))
  expect((await bytesOf(await linkAt(running, 2))).equals(content('late', 2000))).toBe(true)
  running.child.kill('SIGINT')
  expect((await running.result).code).toBe(130)
})

test('what the server refuses is named, and leaves the others alone', async () => {
  await put('big.bin', content('big', 45 * MIB))
  await put('small.mp4', content('small', 1000))
  const { code, stdout, stderr } = await runCli(command(), { env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/big\.bin" was not published\. .*bytes\. /)
  const links = linksOf(stdout.toString())
  expect(links).toHaveLength(1)
  expect((await bytesOf(links[0] ?? '')).equals(content('small', 1000))).toBe(true)
})

test('a publisher that was killed goes on with the parts that it has not sent', async () => {
  const bytes = content('long', 40 * MIB)
  await put('long.mp4', bytes)
  await using proxy = await startCountingProxy(serving.url)
  const through = { env: { ...env, SEALIFT_SERVER: proxy.url } }
  const parallel = command('--parallel', '1')
  {
    await using running = startCli(parallel, through)
    await until('three parts have been sent', () => proxy.sentBytes() > 27 * MIB).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${running.stderr()}`)
    })
    running.child.kill('SIGKILL')
    await running.result
  }
  proxy.resetCounts()
  const { code, stdout, stderr } = await runCli(parallel, through)
  expect(code, stderr).toBe(0)
  expect(proxy.sentBytes()).toBeLessThan(24 * MIB)
  expect((await bytesOf(linksOf(stdout.toString())[0] ?? '')).equals(bytes)).toBe(true)
})

test('a server that is away is waited for', async () => {
  await put('one.mp4', content('one', 3000))
  await using proxy = await startFlakyProxy(serving.url)
  proxy.faults = () => ({ way: 'up', afterBytes: 0, how: 'cut' })
  await using running = startCli(command(), { env: { ...env, SEALIFT_SERVER: proxy.url } })
  await until('it says that it waits', () => /one\.mp4": .* Trying again in \d+s\./.test(running.stderr()))
  proxy.faults = null
  expect((await bytesOf(await linkAt(running, 0))).equals(content('one', 3000))).toBe(true)
  expect((await running.result).code).toBe(0)
})
