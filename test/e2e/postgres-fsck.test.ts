/** fsck where the records are in PostgreSQL, beside a server that runs. */
import { readdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { createApi } from '../support/api.ts'
import { createDatabase, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { runCli } from '../support/running-cli.ts'
import { startServerProcess } from '../support/server-process.ts'

const directory = mkdtempSync(join(tmpdir(), 'sealift-postgres-fsck-'))
let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase(await sharedEngine(postgresEngine))
})

afterAll(async () => {
  await database[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const fsck = (...args: string[]) => runCli(['fsck', '--config', join(directory, 'config.yaml'), ...args])

it('finds what is missing and charged wrongly, and repairs it', async () => {
  const config = { records: { kind: 'postgres', postgres: { url: database.url, poolSize: 4 } } }
  await using server = await startServerProcess({ directory, config })
  const api = createApi(server.url)
  const media = []
  for (let index = 0; index < 3; index += 1) media.push((await api.store(bytesFor(`media ${index}`, 1000))).mediaId)
  expect((await fsck()).code).toBe(0)

  const client = await database.connect()
  const [row] = (await client.query('select blob_id from leases where media_id = $1', [media[0]])).rows
  await client.query('update client_usage set stored_bytes = stored_bytes + 7')
  await client.end()
  const folder = join(directory, 'data', 'blobs', 'media')
  const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(each => each.endsWith(row.blob_id))
  rmSync(join(folder, file ?? 'nothing'))

  const looked = await fsck()
  expect(looked.code).toBe(1)
  expect(looked.stdout.toString()).toMatch(/^missing /m)
  expect(looked.stdout.toString()).toMatch(/^charge /m)
  const repaired = await fsck('--repair')
  expect(repaired.code, repaired.stdout.toString()).toBe(0)
  expect((await fsck()).code).toBe(0)
  expect((await api.read(media[0] ?? '')).status).toBe(410)
  expect((await api.read(media[1] ?? '')).status).toBe(200)
})
