import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { paddedLength } from '../../src/sealing/index.ts'
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

const MiB = 2 ** 20
const FILE_BYTES = 40 * MiB
/** Parts are 8 MiB: three of them are finished by then. */
const KILL_AFTER_BYTES = 27 * MiB
const LEFT_AT_MOST_BYTES = paddedLength(FILE_BYTES) - 3 * 8 * MiB + MiB

const home = mkdtempSync(join(tmpdir(), 'sealift-resume-'))
const file = join(home, 'film.mp4')
const bytes = randomBytes(FILE_BYTES)
let serving: Serving
let proxy: CountingProxy
let env: Record<string, string>
let inbox: string

/** Slow enough to be caught in the middle. */
const slow = { tiers: { default: { uploadBytesPerSecond: '20MiB', downloadBytesPerSecond: '20MiB' } } }

beforeAll(async () => {
  writeFileSync(file, bytes)
  serving = await startServe(home, slow)
  proxy = await startCountingProxy(serving.url)
})

beforeEach(() => {
  const own = mkdtempSync(join(home, 'case-'))
  inbox = join(own, 'inbox')
  env = { XDG_STATE_HOME: join(own, 'state'), SEALIFT_SERVER: proxy.url, ...localEnv(serving.url) }
  proxy.resetCounts()
})

afterAll(async () => {
  await proxy[Symbol.asyncDispose]()
  await serving[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

/** Runs a command until it has moved so much, then ends it with a signal. */
async function interrupt(args: readonly string[], moved: () => number, signal: NodeJS.Signals) {
  await using running = startCli(args, { env })
  await until('enough has moved', () => moved() > KILL_AFTER_BYTES)
  running.child.kill(signal)
  const result = await running.result
  await settled(moved)
  return result
}

/** What an ended process had written is still in flight for a moment: none of it may count for the next one. */
async function settled(moved: () => number): Promise<void> {
  let before = -1
  while (moved() !== before) {
    before = moved()
    await pause(500)
  }
}

describe.each([
  { signal: 'SIGKILL', code: null, says: '' },
  { signal: 'SIGINT', code: 130, says: 'The same command goes on where this one stopped.' },
] as const)('after $signal', ({ signal, code, says }) => {
  it('send goes on without sending finished parts again', async () => {
    const command = ['send', '--parallel', '1', '--json', file]
    const stopped = await interrupt(command, proxy.sentBytes, signal)
    proxy.resetCounts()
    const resumed = await runCli(command, { env })
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(proxy.sentBytes()).toBeLessThan(LEFT_AT_MOST_BYTES)
    const result = JSON.parse(resumed.stdout.toString()) as { link: string; resumed: boolean }
    expect(result.resumed).toBe(true)
    const got = await runCli(['get', '--stdout', result.link], { env })
    expect(got.stdout.equals(bytes)).toBe(true)
    expect(stopped.code).toBe(code)
    expect(stopped.stderr).toContain(says)
  })

  it('get goes on without fetching again what is on disk', async () => {
    const link = (await runCli(['send', file], { env })).stdout.toString().trim()
    const command = ['get', '--parallel', '1', link, '-o', inbox]
    proxy.resetCounts()
    const stopped = await interrupt(command, proxy.receivedBytes, signal)
    expect(readdirSync(inbox)).not.toContain('film.mp4')
    proxy.resetCounts()
    const resumed = await runCli(command, { env })
    expect(resumed.code, resumed.stderr).toBe(0)
    expect(proxy.receivedBytes()).toBeLessThan(LEFT_AT_MOST_BYTES)
    expect(readFileSync(join(inbox, 'film.mp4')).equals(bytes)).toBe(true)
    expect(stopped.code).toBe(code)
    expect(stopped.stderr).toContain(says)
  })
})

it('a send that begins anew after its file changed sends the new bytes', async () => {
  const changing = join(home, 'changing.bin')
  writeFileSync(changing, bytes)
  const command = ['send', '--parallel', '1', '--json', changing]
  await interrupt(command, proxy.sentBytes, 'SIGKILL')
  const changed = randomBytes(3 * MiB)
  writeFileSync(changing, changed)
  const again = await runCli(command, { env })
  expect(again.code, again.stderr).toBe(0)
  const { link } = JSON.parse(again.stdout.toString()) as { link: string }
  expect((await runCli(['get', '--stdout', link], { env })).stdout.equals(changed)).toBe(true)
})

it('a stream that is stopped says nothing of going on', async () => {
  await using running = startCli(['send', '-'], { env, keepStdinOpen: true })
  running.child.stdin.write(bytes)
  await until('something has moved', () => proxy.sentBytes() > MiB)
  running.child.kill('SIGINT')
  const { code, stderr, stdout } = await running.result
  expect([code, stderr, stdout.length]).toEqual([130, 'Stopped.\n', 0])
})
