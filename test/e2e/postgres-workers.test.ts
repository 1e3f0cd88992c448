/** Several processes of one node whose database hangs: connections stay open, and nobody responses. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { createDatabase, startPostgres, type RunningPostgres } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-postgres-workers-'))
let postgres: RunningPostgres
let serving: Serving
let adminUrl: string

beforeAll(async () => {
  postgres = await startPostgres()
  const { url } = await createDatabase(postgres.facts)
  const valkey = await sharedEngine(valkeyEngine)
  serving = await startServe(home, {
    workers: 2,
    admin: { port: 0 },
    records: { kind: 'postgres', postgres: { url } },
    limits: { shared: 'valkey', valkey: { url: valkey.url, prefix: `postgres-workers-${process.pid}:` } },
  })
  await until('all is told', () => /Metrics.*\n/.test(serving.running.stdout()))
  adminUrl = /Metrics.*(http:\S+)/.exec(serving.running.stdout())?.[1] ?? ''
}, 60_000)

afterAll(async () => {
  postgres.resume()
  await serving[Symbol.asyncDispose]()
  await postgres[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

it('readiness names the records and not the processes, and the metrics are still told', async () => {
  postgres.pause()
  const response = await fetch(`${adminUrl}/readyz`)
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ checks: { storage: 'ok', records: 'failing' } })
  const page = await (await fetch(`${adminUrl}/metrics`)).text()
  expect(page).toMatch(/^sealift_transfer_bytes_total\{direction="upload"\} \d+$/m)
  expect(page).toMatch(/^sealift_ready 0$/m)
  expect(page).toMatch(/^sealift_storage_totals_read 0$/m)
}, 40_000)
