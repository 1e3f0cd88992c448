/** The token that `serve` leaves for its own user: who can read it, who sends it, and when it ends. */
import { execFile } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'

import { createSealift } from '../../src/client/node/index.ts'
import { createApi } from '../support/api.ts'
import { freePort } from '../support/engines/free-port.ts'
import { runCli, startCli, until, type RunningCli } from '../support/running-cli.ts'

const curl = promisify(execFile)
const home = mkdtempSync(join(tmpdir(), 'sealift-local-token-'))
const file = join(home, 'note.txt')
writeFileSync(file, 'sealed for whoever has the link')

afterAll(() => rmSync(home, { recursive: true, force: true }))

interface Served extends AsyncDisposable {
  readonly url: string
  readonly running: RunningCli
  /** `null` when none was told. */
  readonly tokenFile: string | null
}

let directory: string
let env: Record<string, string>
beforeEach(() => {
  directory = mkdtempSync(join(home, 'case-'))
  env = { XDG_STATE_HOME: join(directory, 'state') }
})

async function serve(config: object = {}): Promise<Served> {
  const configFile = join(directory, 'sealift.yaml')
  const base = { listen: { port: 0 }, admin: { enabled: false }, dataDirectory: join(directory, 'data') }
  writeFileSync(configFile, JSON.stringify({ ...base, ...config }))
  const running = startCli(['serve', '--config', configFile], { env })
  await until('it listens', () => running.stdout().includes('Data is in') || running.child.exitCode !== null)
  const url = /^Sealift listens on (\S+)$/m.exec(running.stdout())?.[1]
  if (url === undefined) throw new Error(`the server did not start: ${running.stderr()}`)
  const tokenFile = /^The token of this user is in (\S+) /m.exec(running.stdout())?.[1] ?? null
  return { url, running, tokenFile, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() }
}

const tokenIn = (path: string | null): string =>
  /^Authorization: Bearer (\S+)\n$/.exec(readFileSync(path ?? '', 'utf8'))?.[1] ?? ''

async function stop({ running }: Served): Promise<void> {
  running.child.kill('SIGTERM')
  expect((await running.result).code).toBe(0)
}

const limitsStatus = async (url: string, token: string | null) =>
  (await createApi(url, { token }).call('limits', {})).status

describe('the file', () => {
  it('is read by its user alone, named after the port, told after the address, and never printed', async () => {
    await using served = await serve()
    const [first, second] = served.running.stdout().split('\n')
    expect(first).toBe(`Sealift listens on ${served.url}`)
    expect(second).toContain(served.tokenFile ?? '?')
    const { port } = new URL(served.url)
    expect(served.tokenFile).toBe(join(directory, 'state', 'sealift', 'servers', `127.0.0.1-${port}.header`))
    const token = tokenIn(served.tokenFile)
    // 43 characters of base64url: 256 bits.
    expect(token).toMatch(/^sealift_[\w-]{43}$/)
    expect(lstatSync(served.tokenFile ?? '').mode & 0o777).toBe(0o600)
    expect(lstatSync(dirname(served.tokenFile ?? '')).mode & 0o777).toBe(0o700)
    expect(readdirSync(dirname(served.tokenFile ?? ''))).toHaveLength(1)
    await stop(served)
    expect(served.running.stdout() + served.running.stderr()).not.toContain(token)
    expect(existsSync(served.tokenFile ?? '')).toBe(false)
  })

  it('is what `curl -H @FILE` takes', async () => {
    await using served = await serve()
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', `${served.url}/v1/limits`]
    expect((await curl('curl', args)).stdout).toBe('401')
    expect((await curl('curl', ['-H', `@${served.tokenFile ?? ''}`, ...args])).stdout).toBe('200')
  })

  it('closes a folder that was open to others, and writes through no link that lies there', async () => {
    const folder = join(directory, 'state', 'sealift', 'servers')
    mkdirSync(folder, { recursive: true, mode: 0o755 })
    chmodSync(folder, 0o755)
    const port = await freePort()
    const planted = join(folder, `127.0.0.1-${port}.header`)
    writeFileSync(planted, 'old', { mode: 0o644 })
    await using served = await serve({ listen: { port } })
    expect(lstatSync(folder).mode & 0o777).toBe(0o700)
    expect(lstatSync(planted).mode & 0o777).toBe(0o600)
    expect(await limitsStatus(served.url, tokenIn(served.tokenFile))).toBe(200)
  })

  it('is one for each server', async () => {
    await using one = await serve()
    const first = one.tokenFile
    await using other = await serve()
    expect(other.tokenFile).not.toBe(first)
    expect(await limitsStatus(one.url, tokenIn(first))).toBe(200)
    expect(await limitsStatus(other.url, tokenIn(other.tokenFile))).toBe(200)
    expect(await limitsStatus(other.url, tokenIn(first))).toBe(401)
    await stop(other)
    expect(existsSync(first ?? '')).toBe(true)
  })

  it('comes and goes with the mode', async () => {
    const listen = { port: await freePort() }
    await using served = await serve({ listen, access: { openMode: 'off' } })
    expect(served.tokenFile).toBeNull()
    const path = join(directory, 'state', 'sealift', 'servers', `127.0.0.1-${listen.port}.header`)
    const reload = (openMode: string) => {
      const config = { listen, admin: { enabled: false }, dataDirectory: join(directory, 'data'), access: { openMode } }
      writeFileSync(join(directory, 'sealift.yaml'), JSON.stringify(config))
      served.running.child.kill('SIGHUP')
    }
    reload('loopback')
    await until('the file is there', () => existsSync(path))
    expect(await limitsStatus(served.url, tokenIn(path))).toBe(200)
    reload('off')
    await until('the file is gone', () => !existsSync(path))
  })

  it('that cannot be written is said, with what to do; the server goes on, and prints no token', async () => {
    writeFileSync(join(directory, 'state'), 'a file where a folder should be')
    await using served = await serve()
    expect(served.tokenFile).toBeNull()
    expect(served.running.stderr()).toContain('no token could be given to this user')
    expect(served.running.stderr()).toContain('XDG_STATE_HOME')
    expect(served.running.stdout() + served.running.stderr()).not.toMatch(/sealift_[\w-]{20}/)
    expect(await limitsStatus(served.url, null)).toBe(401)
  })
})

describe('the same user', () => {
  it('sends, forwards, deletes and looks without giving a token', async () => {
    await using served = await serve()
    const run = async (...args: string[]) => {
      const { code, stdout, stderr } = await runCli(args, { env })
      expect(code, stderr + stdout.toString()).toBe(0)
      return stdout.toString().trim()
    }
    const link = await run('send', file, '--server', served.url)
    // The link alone names the server.
    const forwarded = await run('forward', link)
    expect(await run('get', '--stdout', forwarded)).toBe('sealed for whoever has the link')
    await run('rm', forwarded, link)
    expect(await run('doctor', '--server', served.url)).toContain('round trip')
    const folder = join(directory, 'films')
    mkdirSync(folder)
    writeFileSync(join(folder, 'a.txt'), 'a')
    await run(
      'publish',
      folder,
      '--film',
      'file',
      '--settle',
      '0',
      '--server',
      served.url.replace('127.0.0.1', 'localhost'),
    )
  })

  it('goes on with one client when the server starts anew, also after kill -9; an old token opens nothing', async () => {
    const listen = { port: await freePort() }
    const before = process.env['XDG_STATE_HOME']
    process.env['XDG_STATE_HOME'] = env['XDG_STATE_HOME']
    try {
      const first = await serve({ listen })
      await using sealift = createSealift({ server: first.url, stateDirectory: false })
      expect((await sealift.limits()).client.anonymous).toBe(true)
      const old = tokenIn(first.tokenFile)
      first.running.child.kill('SIGKILL')
      await first.running.result
      expect(existsSync(first.tokenFile ?? '')).toBe(true)
      await using second = await serve({ listen })
      expect(second.tokenFile).toBe(first.tokenFile)
      expect(tokenIn(second.tokenFile)).not.toBe(old)
      expect(await limitsStatus(second.url, old)).toBe(401)
      expect((await sealift.limits()).client.anonymous).toBe(true)
    } finally {
      process.env['XDG_STATE_HOME'] = before
    }
  })
})

describe('another user of this machine', () => {
  let served: Served
  afterEach(() => served[Symbol.asyncDispose]())

  it('stores nothing, is told what to do, and still receives by link', async () => {
    served = await serve()
    const sent = await runCli(['send', file, '--server', served.url], { env })
    const other = { env: { XDG_STATE_HOME: join(directory, 'other') } }
    const refused = await runCli(['send', file, '--server', served.url], other)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('XDG_STATE_HOME')
    const got = await runCli(['get', '--stdout', sent.stdout.toString().trim()], other)
    expect(got.stdout.toString()).toBe('sealed for whoever has the link')
  })
})
