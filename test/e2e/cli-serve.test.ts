import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { localAuth, localEnv } from '../support/local-token.ts'
import { runCli, startCli, until, type RunningCli } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'
import { placesOf, storedMedia, type Places } from '../support/stored-bytes.ts'

const MiB = 2 ** 20
const home = mkdtempSync(join(tmpdir(), 'sealift-serve-'))
/** One part, and so one request: what is in flight is all of it. */
const bytes = randomBytes(6 * MiB)
const file = join(home, 'private-name.bin')
writeFileSync(file, bytes)

afterAll(() => rmSync(home, { recursive: true, force: true }))

const newHome = (): string => mkdtempSync(join(home, 'case-'))
const tiers = (over: object) => ({ tiers: { default: over } })
/** About three seconds for the file. */
const slowly = tiers({ downloadBytesPerSecond: '2MiB', queue: 7 })

async function send(url: string, directory: string): Promise<string> {
  const env = { XDG_STATE_HOME: join(directory, 'state'), ...localEnv(url) }
  const { code, stdout, stderr } = await runCli(['send', file, '--server', url], { env })
  expect(code, stderr).toBe(0)
  return stdout.toString().trim()
}

/** A `get` whose bytes are in flight, with the folder it receives into. */
async function startGet(
  serving: Serving,
  link: string,
  directory: string,
): Promise<RunningCli & { readonly inbox: string }> {
  const inbox = join(directory, 'inbox')
  const running = startCli(['get', link, '-o', inbox])
  // A manifest in flight counts as a download too: the media's own bytes must have come.
  await until('the transfer has begun', async () => {
    return partialBytes(inbox) > 0 && (await limitsOf(serving)).usage.downloads > 0
  })
  return { ...running, inbox }
}

/** What a `get` has written so far of what it is still receiving. */
function partialBytes(inbox: string): number {
  if (!existsSync(inbox)) return 0
  const partial = readdirSync(inbox).find(name => name.endsWith('.sealift-part'))
  return partial === undefined ? 0 : statSync(join(inbox, partial)).size
}

interface Limits {
  readonly limits: { readonly queue: number }
  readonly usage: { readonly downloads: number }
}

async function limitsOf(serving: Serving): Promise<Limits> {
  return (await (await fetch(`${serving.url}/v1/limits`, { headers: localAuth(serving.url) })).json()) as Limits
}

const logged = (serving: Serving, text: string) => () => serving.running.logged(text)

function describePlaces({ dataDirectory, storage }: Places): string {
  if (storage.s3 === null) return dataDirectory
  return `bucket ${storage.s3.bucket} at ${new URL(storage.s3.endpoint).host}, records in PostgreSQL`
}

describe('serve', () => {
  it('prints its address first, then where data and metrics are, and logs to stderr alone', async () => {
    const directory = newHome()
    await using serving = await startServe(directory, { admin: { port: 0 } })
    await until('all is told', () => serving.running.stdout().includes('Metrics'))
    const [first, ...others] = serving.running.stdout().split('\n')
    // Nodes of a cluster are no user's own (see test/support/serving.ts).
    const own = others.filter(line => /^The token of this user is in \/\S+ \(curl -H @FILE\)$/.test(line))
    expect(own).toHaveLength(serving.nodes === 1 ? 1 : 0)
    const [second, third, ...rest] = others.slice(own.length)
    expect(first).toBe(`Sealift listens on ${serving.ownUrl}`)
    expect(second).toBe(`Data is in ${describePlaces(await placesOf(serving.dataDirectory))}`)
    expect(third).toMatch(/^Metrics and health are on http:\/\/127\.0\.0\.1:\d+$/)
    expect(rest).toEqual([''])
    await send(serving.url, directory)
    expect(serving.running.stdout().split('\n')).toHaveLength(serving.nodes === 1 ? 5 : 4)
    expect(serving.running.stderr()).not.toContain('private-name')
  })

  it('takes host, port and data from the command line, over the file', async () => {
    const directory = newHome()
    const config = join(directory, 'sealift.yaml')
    writeFileSync(config, 'listen: {port: 1}\nadmin: {enabled: false}\ndataDirectory: /nowhere')
    const data = join(directory, 'elsewhere')
    await using running = startCli(['serve', '-c', config, '--port', '0', '--host', '127.0.0.1', '--data', data])
    await until('it listens', () => running.stdout().includes('Data is in'))
    expect(running.stdout()).toContain(`Data is in ${data}\n`)
  })
})

describe('what prevents a start is a plain message', () => {
  async function failedStart(config: string, ...args: string[]): Promise<string> {
    const path = join(newHome(), 'sealift.yaml')
    writeFileSync(path, config)
    const { code, stdout, stderr } = await runCli(['serve', '--config', path, ...args])
    expect(code).toBe(1)
    expect(stdout.toString()).toBe('')
    expect(stderr).not.toContain('    at ')
    return stderr
  }

  it('a port that is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const config = `admin: {enabled: false}\ndataDirectory: ${newHome()}`
    const message = await failedStart(config, '--port', String(port))
    expect(message).toContain(`127.0.0.1:${port} is in use already`)
    expect(message).toContain('--port')
    other.close()
  })

  it('a data directory that cannot be one', async () => {
    const message = await failedStart('listen: {port: 0}\nadmin: {enabled: false}', '--data', join(file, 'data'))
    expect(message).toContain('The data directory cannot be used')
    expect(message).toContain('--data')
  })

  it('every mistake in a configuration, at once', async () => {
    const message = await failedStart('listen: {port: x}\nlog: {level: loud}\nnonsense: 1')
    for (const key of ['listen.port', 'log.level', 'nonsense']) expect(message).toContain(key)
  })

  it('a configuration file that is not there', async () => {
    const { code, stderr } = await runCli(['serve', '--config', join(home, 'missing.yaml')])
    expect(code).toBe(1)
    expect(stderr).toContain('cannot be read')
  })
})

describe('SIGHUP', () => {
  it('applies new limits without dropping a transfer; a bad file leaves the old ones in force', async () => {
    const directory = newHome()
    await using serving = await startServe(directory, slowly)
    const link = await send(serving.url, directory)
    await using transfer = await startGet(serving, link, directory)
    expect((await limitsOf(serving)).limits.queue).toBe(7)

    serving.writeConfig(tiers({ downloadBytesPerSecond: '2MiB', queue: 9 }))
    serving.running.child.kill('SIGHUP')
    await until('it is told', logged(serving, 'configuration reloaded'))
    expect(serving.running.stderr()).toContain('"changed":["tiers.default.queue"]')
    expect((await limitsOf(serving)).limits.queue).toBe(9)

    serving.writeConfig(tiers({ queue: 'hunter2' }))
    serving.running.child.kill('SIGHUP')
    await until('it is refused', logged(serving, 'configuration refused'))
    expect(serving.running.stderr()).toContain('tiers.default.queue')
    expect(serving.running.stderr()).not.toContain('hunter2')
    expect((await limitsOf(serving)).limits.queue).toBe(9)

    expect(transfer.child.exitCode).toBeNull()
    const { code, stderr } = await transfer.result
    expect(code, stderr).toBe(0)
    expect(readFileSync(join(transfer.inbox, 'private-name.bin')).equals(bytes)).toBe(true)
  })

  it('names what needs a restart', async () => {
    const directory = newHome()
    await using serving = await startServe(directory)
    serving.writeConfig({ listen: { port: 0, maxConnections: 77 } })
    serving.running.child.kill('SIGHUP')
    await until('it is told', logged(serving, 'configuration reloaded'))
    expect(serving.running.stderr()).toContain('"needRestart":["listen.maxConnections"]')
  })
})

describe('stopping', () => {
  it('SIGTERM lets a running transfer finish, then exits with 0', async () => {
    const directory = newHome()
    await using serving = await startServe(directory, { ...slowly, transfer: { stopGrace: '45s' } })
    await using transfer = await startGet(serving, await send(serving.url, directory), directory)
    serving.running.child.kill('SIGTERM')
    const [received, stopped] = await Promise.all([transfer.result, serving.running.result])
    expect(received.code, received.stderr).toBe(0)
    expect(stopped.code, stopped.stderr).toBe(0)
    expect(readFileSync(join(transfer.inbox, 'private-name.bin')).equals(bytes)).toBe(true)
  })

  it('a second signal does not wait for anybody', async () => {
    const directory = newHome()
    const endless = { ...tiers({ downloadBytesPerSecond: '64KiB' }), transfer: { stopGrace: '10m' } }
    await using serving = await startServe(directory, endless)
    await using transfer = await startGet(serving, await send(serving.url, directory), directory)
    serving.running.child.kill('SIGTERM')
    await until('it is stopping', logged(serving, 'server stopping'))
    await until('whichever has nothing to do has ended', () => serving.running.alive() === 1)
    serving.running.child.kill('SIGTERM')
    expect((await serving.running.result).code).toBe(143)
    expect(transfer.child.exitCode).toBeNull()
  })

  it('after kill -9, what was acknowledged is there', async () => {
    const directory = newHome()
    let link: string
    {
      await using serving = await startServe(directory)
      link = await send(serving.url, directory)
      serving.running.child.kill('SIGKILL')
      await serving.running.result
    }
    await using again = await startServe(directory)
    const { pathname, hash } = new URL(link)
    const got = await runCli(['get', '--stdout', `${again.url}${pathname}${hash}`])
    expect(got.code, got.stderr).toBe(0)
    expect(got.stdout.equals(bytes)).toBe(true)
  })
})

describe('fsck', () => {
  it('finds nothing wrong, then missing bytes; orphans go only with --repair', async () => {
    const directory = newHome()
    const config = { upkeep: { orphanGrace: '0s' } }
    let serving = await startServe(directory, config)
    await send(serving.url, directory)
    serving.running.child.kill('SIGTERM')
    await serving.running.result
    const check = async (...args: string[]) => {
      const { code, stdout, stderr } = await runCli(['fsck', '--json', '-c', serving.configFile, ...args])
      return { code, stderr, report: JSON.parse(stdout.toString()) as { findings: { kind: string }[] } }
    }
    const well = await check()
    expect(well.code, well.stderr).toBe(0)

    const places = await placesOf(serving.dataDirectory)
    const names = async () => (await storedMedia(places)).map(({ name }) => name)
    const [stored] = await storedMedia(places)
    if (!stored) throw new Error('Nothing is stored')
    const orphan = stored.stranger()
    await orphan.write(Buffer.from('nobody knows me'))
    const found = await check()
    expect([found.code, found.report.findings.map(({ kind }) => kind)]).toEqual([1, ['orphan']])
    expect(await names()).toContain(orphan.name)
    expect((await check('--repair')).code).toBe(0)
    expect(await names()).not.toContain(orphan.name)

    await stored.delete()
    const missing = await check('--repair')
    expect([missing.code, missing.report.findings.map(({ kind }) => kind)]).toEqual([1, ['missing']])
  })

  it('does not make a store where there is none', async () => {
    const directory = newHome()
    const { code, stderr } = await runCli(['fsck', '--data', join(directory, 'data')])
    expect(code).toBe(1)
    expect(stderr).toContain('There are no records')
    expect(readdirSync(directory)).toEqual([])
  })
})
