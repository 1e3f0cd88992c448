/** What people are told when something is in the way: a limit, a lost connection. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startFlakyProxy } from '../support/flaky-proxy.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

const MiB = 2 ** 20
const home = mkdtempSync(join(tmpdir(), 'sealift-trouble-'))
const film = join(home, 'film.mp4')
const photo = join(home, 'photo.jpg')
const note = join(home, 'note.txt')
let serving: Serving
let env: Record<string, string>

beforeAll(async () => {
  writeFileSync(film, randomBytes(12 * MiB))
  writeFileSync(photo, randomBytes(3 * MiB))
  writeFileSync(note, randomBytes(1000))
  const limits = { maxBytes: { other: '10MiB' }, storedBytes: '8MiB' }
  serving = await startServe(home, { tiers: { default: limits } })
  env = { XDG_STATE_HOME: join(home, 'state'), SEALIFT_SERVER: serving.url, ...localEnv(serving.url) }
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

const run = (...args: string[]) => runCli(args, { env })

describe('a file that the server refuses', () => {
  it('is named with the limit, and the others go', async () => {
    const { code, stdout, stderr } = await run('send', '--json', film, photo, note)
    expect(code).toBe(1)
    expect(stderr).toContain('The server refused 1 item, which the link does not hold:\n  film.mp4: ')
    expect(stderr).toContain('That is 10 MiB (the limit maxBytes')
    const sent = JSON.parse(stdout.toString()) as { link: string }
    expect(sent).toMatchObject({
      ok: false,
      items: [
        { name: 'film.mp4', ok: false, error: { code: 'too_large', value: 10 * MiB } },
        { name: 'photo.jpg' },
        { name: 'note.txt' },
      ],
    })
    const inbox = join(home, 'inbox')
    const got = await run('get', sent.link, '-o', inbox)
    expect(got.code, got.stderr).toBe(0)
    expect(readFileSync(join(inbox, 'photo.jpg')).equals(readFileSync(photo))).toBe(true)
    expect(existsSync(join(inbox, 'film.mp4'))).toBe(false)
    expect(serving.running.stderr()).not.toContain('film.mp4')
    expect((await run('rm', sent.link)).code).toBe(0)
  })

  it('is all there is: then nothing is sent', async () => {
    const { code, stdout, stderr } = await run('send', film)
    expect(code).toBe(1)
    expect(stderr).toMatch(/^sealift: film\.mp4: .+\nThat is 10 MiB/m)
    expect(stdout.length).toBe(0)
  })

  it('is named too when the quota is used up', async () => {
    const first = (await run('send', photo)).stdout.toString().trim()
    const second = join(home, 'second.jpg')
    writeFileSync(second, randomBytes(6 * MiB))
    const { code, stdout, stderr } = await run('send', second, note)
    expect(code).toBe(1)
    expect(stderr).toContain('  second.jpg: ')
    expect(stderr).toMatch(/The quota is 8 MiB, of which \S+ MiB are left/)
    const listed = await run('ls', stdout.toString().trim())
    expect(listed.stdout.toString()).toMatch(/note\.txt\n$/)
    expect((await run('rm', first, stdout.toString().trim())).code).toBe(0)
  })
})

it('says that the connection is lost and when it tries again, and goes on by itself', async () => {
  await using proxy = await startFlakyProxy(serving.url)
  const link = (await run('send', photo)).stdout.toString().trim().replace(serving.url, proxy.url)
  const inbox = join(home, 'inbox-lost')
  proxy.faults = () => ({ way: 'down', afterBytes: MiB, how: 'cut' })
  await using receiver = startCli(['get', link, '-o', inbox], { env })
  await until('the connection broke', () => proxy.cuts() > 0)
  proxy.target = 'http://127.0.0.1:1'
  await until('it is told', () => receiver.stderr().includes('connection lost'))
  expect(receiver.stderr()).toMatch(/^receiving: connection lost, trying again (?:in \d+ s|now)$/m)
  proxy.faults = null
  proxy.target = serving.url
  const { code, stderr } = await receiver.result
  expect(code, stderr).toBe(0)
  expect(readFileSync(join(inbox, 'photo.jpg')).equals(readFileSync(photo))).toBe(true)
})
