/** What doctor says of the record database of a cluster. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import { diagnose } from '../support/doctor.ts'
import { createDatabase, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-postgres-doctor-'))
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase(await sharedEngine(postgresEngine))
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

const records = (postgres: object = {}) => ({
  records: { kind: 'postgres', postgres: { url: database.url, ...postgres } },
})

it('tells of an empty database, and of one that is set up', async () => {
  const before = await diagnose(home, records())
  expect(before.ok, before.said).toBe(true)
  expect(before.checks['pg schema']).toMatch(/^ok: not up to date/)
  await using store = await openPostgresRecordStore({
    url: database.url,
    poolSize: 2,
    connectTimeoutMs: 5000,
    statementTimeoutMs: 5000,
  })
  await store.migrate()
  const { ok, checks, said } = await diagnose(home, records())
  expect(ok, said).toBe(true)
  expect(checks).toMatchObject({
    postgres: expect.stringMatching(/^ok: PostgreSQL \d+/),
    'pg writable': 'ok: changes are taken',
    'pg schema': 'ok: up to date',
    'pg durability': 'ok: fsync on, synchronous_commit on',
    'pg connections': expect.stringMatching(
      /^ok: 197 for .*, 21 needed by 1 processes × \(poolSize 20 \+ 1\); enough for 9/,
    ),
    'pg clock': 'ok: agrees with this machine',
  })
  expect(said).not.toContain(new URL(database.url).password)
})

it('counts the connections that all processes need', async () => {
  const { ok, checks } = await diagnose(home, records({ poolSize: 300 }))
  expect(ok).toBe(false)
  expect(checks['pg connections']).toMatch(
    /^fail: .*raise max_connections, or set records\.postgres\.poolSize to 196 or less/,
  )
})

it('refuses the schema of a newer version', async () => {
  await using other = await createDatabase(await sharedEngine(postgresEngine))
  const config = records({ url: other.url })
  await using store = await openPostgresRecordStore({
    url: other.url,
    poolSize: 2,
    connectTimeoutMs: 5000,
    statementTimeoutMs: 5000,
  })
  await store.migrate()
  const client = await other.connect()
  await client.query(`insert into kysely_migration (name, timestamp) values ('9999_later', 'now')`)
  await client.end()
  const { ok, checks } = await diagnose(home, config)
  expect(ok).toBe(false)
  expect(checks['pg schema']).toMatch(/^fail: .*newer version/)
})

it('tells of a user who may not make tables, and of an address that is wrong', async () => {
  const name = `reader_${randomBytes(4).toString('hex')}`
  const password = randomBytes(12).toString('hex')
  const client = await database.connect()
  await client.query(`create role ${name} login password '${password}' connection limit 5`)
  const url = new URL(database.url)
  Object.assign(url, { username: name, password })
  const { ok, checks, said } = await diagnose(home, records({ url: url.href }))
  expect(ok).toBe(false)
  expect(checks['pg writable']).toMatch(/^fail: the user of records\.postgres\.url may not make tables/)
  expect(checks['pg connections']).toMatch(/^fail: 5 for Sealift/)
  expect(said).not.toContain(password)
  await client.query(`drop role ${name}`)
  await client.end()
  url.port = '9'
  expect((await diagnose(home, records({ url: url.href }))).checks['postgres']).toMatch(
    /^fail: records\.postgres\.url: no server listens/,
  )
})
