/** Starting with a PostgreSQL that is not there, or not configured right. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createDatabase, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { startWrongly } from '../support/start-fails.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-postgres-start-'))
const SECRET = `secret-${randomBytes(12).toString('hex')}`
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase(await sharedEngine(postgresEngine))
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

/** The one line that is said when the address is changed so. */
async function lineWith(change: (url: URL) => void): Promise<string> {
  const url = new URL(database.url)
  const { password } = url
  change(url)
  const records = { kind: 'postgres', postgres: { url: url.href, connectTimeout: '1s' } }
  const { code, said, elapsedMs } = await startWrongly(home, {}, { records })
  expect(code, said).toBe(1)
  expect(said).toMatch(/^sealift: [^\n]{20,300}\n$/)
  for (const secret of [SECRET, password]) expect(said).not.toContain(secret)
  expect(elapsedMs).toBeLessThan(30_000)
  return said
}

describe('a wrong address of the database ends the start with one line that names it', () => {
  it.each<[string, (url: URL) => void, string]>([
    ['no server listens', url => (url.port = '9'), 'no server listens at 127.0.0.1:9'],
    ['no such host', url => (url.hostname = 'nowhere.invalid'), 'is no known host'],
    ['no such database', url => (url.pathname = '/nothing'), 'there is no database "nothing"'],
    ['a wrong password', url => (url.password = SECRET), 'refuses the password of "postgres"'],
    ['no such user', url => (url.username = 'nobody'), '"nobody"'],
    ['TLS that is not there', url => url.searchParams.set('sslmode', 'require'), 'no secure connection'],
  ])('%s', async (_, change, told) => {
    const said = await lineWith(change)
    expect(said).toContain('records.postgres.url')
    expect(said).toContain(told)
  })

  it('a user who may not make tables', async () => {
    const name = `stranger_${randomBytes(4).toString('hex')}`
    const client = await database.connect()
    await client.query(`create role ${name} login password '${SECRET}'`)
    try {
      const said = await lineWith(url => {
        url.username = name
        url.password = SECRET
      })
      expect(said).toContain('records.postgres.url: its user may not create or use the tables')
    } finally {
      await client.query(`drop role ${name}`)
      await client.end()
    }
  })
})

it('a database that never responds is not waited for', async () => {
  const silent = createServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  expect(await lineWith(url => (url.port = String(port)))).toContain('does not respond')
  silent.close()
})
