/** Starting with a Valkey that is not there, or not configured right. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startValkey, type RunningValkey } from '../support/engines/valkey.ts'
import { startWrongly } from '../support/start-fails.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-valkey-start-'))
const PASSWORD = `password-${randomBytes(12).toString('hex')}`
const WRONG = `wrong-${randomBytes(12).toString('hex')}`
let valkey: RunningValkey

beforeAll(async () => {
  valkey = await startValkey({ password: PASSWORD })
})

afterAll(async () => {
  await valkey[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

/** The one line that is said when the address is changed so. */
async function lineWith(change: (url: URL) => void): Promise<string> {
  const url = new URL(valkey.facts.url)
  change(url)
  const { code, said, elapsedMs } = await startWrongly(
    home,
    {},
    { limits: { shared: 'valkey', valkey: { url: url.href } } },
  )
  expect(code, said).toBe(1)
  expect(said).toMatch(/^sealift: [^\n]{20,300}\n$/)
  for (const secret of [PASSWORD, WRONG]) expect(said).not.toContain(secret)
  expect(said).toContain('limits.valkey.url')
  expect(elapsedMs).toBeLessThan(30_000)
  return said
}

describe('a wrong address of Valkey ends the start with one line that names it', () => {
  it.each<[string, (url: URL) => void, string]>([
    ['a closed port', url => (url.port = '9'), 'Valkey at 127.0.0.1:9 refuses connections'],
    ['no such host', url => (url.hostname = 'nowhere.invalid'), 'has a host name that cannot be resolved'],
    ['a wrong password', url => (url.password = WRONG), 'refuses the user or password'],
    ['no password', url => (url.password = ''), 'needs a password'],
    ['no such database', url => (url.pathname = '/9999'), 'cannot be used'],
    ['TLS that is not there', url => (url.protocol = 'rediss:'), 'cannot be used'],
  ])('%s', async (_, change, told) => {
    expect(await lineWith(change)).toContain(told)
  })

  it('a user who may not write', async () => {
    await valkey.command('ACL', 'SETUSER', 'reader', 'on', `>${WRONG}`, '~*', '&*', '+@read', '+hello', '+ping')
    const said = await lineWith(url => {
      url.username = 'reader'
      url.password = WRONG
    })
    expect(said).toContain('does not allow the user')
  })
})

it('one that never responds is not waited for', async () => {
  const silent = createServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  expect(await lineWith(url => (url.port = String(port)))).toContain('no response in time')
  silent.close()
})

it('one that is older than version 6 is reported as that', async () => {
  // As Redis 5 responds to the first command of a connection.
  const old = createServer(socket => {
    socket.on('error', () => undefined)
    socket.on('data', () => socket.write('-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n'))
  }).listen(0, '127.0.0.1')
  await once(old, 'listening')
  const { port } = old.address() as AddressInfo
  expect(await lineWith(url => (url.port = String(port)))).toContain('is older than version 6')
  old.close()
})
