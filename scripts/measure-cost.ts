// `npm run cost [-- --save]`: what one media costs a node, the database and Valkey, on real engines. The input of
// docs/scale.md.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Agent, request } from 'undici'

import { startCeph } from '../test/support/engines/ceph.ts'
import { createDatabase, startPostgres } from '../test/support/engines/postgres.ts'
import { startValkey } from '../test/support/engines/valkey.ts'
import { makeBucket } from '../test/support/s3-bucket.ts'
import { startServerProcess } from '../test/support/server-process.ts'
import type { MeasuredCost } from './scale-plan.ts'

const SMALL_BYTES = 64 * 1024
const PART_BYTES = 8 * 2 ** 20
const PARTS = 8
const LANES = 16
/** Connections that lie idle tell the database's statistics of their transactions within ten seconds. */
const SETTLE_MS = 11_000
const TICKS_PER_SECOND = 100

const { values } = parseArgs({ options: { save: { type: 'boolean' }, count: { type: 'string', default: '4000' } } })
const count = Number(values.count)

await using ceph = await startCeph()
await using postgres = await startPostgres()
await using valkey = await startValkey()
const s3 = await makeBucket(ceph.facts)
const database = await createDatabase(postgres.facts)
const directory = mkdtempSync(join(tmpdir(), 'sealift-cost-'))
await using server = await startServerProcess({
  directory,
  config: {
    storage: {
      kind: 's3',
      s3: {
        endpoint: s3.endpoint,
        region: s3.region,
        bucket: s3.bucket,
        accessKeyId: s3.accessKeyId,
        secretAccessKey: s3.secretAccessKey,
      },
    },
    records: { kind: 'postgres', postgres: { url: database.url } },
    limits: { shared: 'valkey', valkey: { url: valkey.facts.url } },
    tiers: { default: { requestsPerSecond: 0, storedBytes: '1TiB', pendingUploads: 100_000, pendingBytes: '1TiB' } },
  },
})
const watcher = await database.connect()
const agent = new Agent({ connections: LANES, pipelining: 1 })
const owner = { 'sealift-owner': randomBytes(24).toString('base64url') }
const octets = { 'content-type': 'application/octet-stream' }
const json = { 'content-type': 'application/json' }

const small = randomBytes(SMALL_BYTES)
const media: string[] = []
// Compiled code and warm connections, as in a node that has been up for a minute.
await run(500, store)
const stored = await measured('store 64 KiB', count, async () => void media.push(await store()))
const read = await measured('read 64 KiB', count, async index => drain(`/v1/media/${media[index] ?? ''}`))
const published = await measured('publish a parcel of 3', Math.floor(count / 3), index =>
  call('POST', '/v1/parcels', {
    headers: { ...json, ...owner },
    body: JSON.stringify({
      manifest: randomBytes(1500).toString('base64url'),
      media: media.slice(index * 3, index * 3 + 3),
    }),
  }),
)
const part = randomBytes(PART_BYTES)
const large: string[] = []
const sent = await measured('store 64 MiB in parts', 12, async () => void large.push(await storeInParts()))
const fetched = await measured('read 64 MiB', 12, index => drain(`/v1/media/${large[index] ?? ''}`))

const gibibytes = (PARTS * PART_BYTES) / 2 ** 30
const cost: MeasuredCost = {
  storeCpuSeconds: stored.cpuSeconds,
  readCpuSeconds: read.cpuSeconds,
  publishCpuSeconds: published.cpuSeconds,
  storeGibCpuSeconds: sent.cpuSeconds / gibibytes,
  readGibCpuSeconds: fetched.cpuSeconds / gibibytes,
  storeTransactions: stored.transactions,
  readTransactions: read.transactions,
  publishTransactions: published.transactions,
  mediaRowBytes: await bytesPerRow('blobs', ['leases', 'uploads', 'parts']),
  parcelRowBytes: await bytesPerRow('parcels', ['parcel_media']),
}
console.log(JSON.stringify(cost, null, 2))
if (values.save) writeFileSync('docs/cost.json', `${JSON.stringify(cost, null, 2)}\n`)
await watcher.end()
await agent.close()
rmSync(directory, { recursive: true, force: true })

interface Cost {
  readonly cpuSeconds: number
  readonly transactions: number
}

/** What one of `times` costs: processor time of the node, transactions of the database. */
async function measured(name: string, times: number, work: (index: number) => Promise<unknown>): Promise<Cost> {
  await sleep(SETTLE_MS)
  const before = { cpu: cpuSeconds(), transactions: await transactions() }
  await run(times, work)
  const cpu = (cpuSeconds() - before.cpu) / times
  await sleep(SETTLE_MS)
  const cost = { cpuSeconds: cpu, transactions: ((await transactions()) - before.transactions) / times }
  console.log(`${name}: ${Math.round(cpu * 1e6)} µs of processor time, ${cost.transactions.toFixed(2)} transactions`)
  return cost
}

async function run(times: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next; index < times; index = next) {
      next += 1
      await work(index)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

function cpuSeconds(): number {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

async function transactions(): Promise<number> {
  const { rows } = await watcher.query<{ count: string }>(
    'select xact_commit as count from pg_stat_database where datname = current_database()',
  )
  return Number(rows[0]?.count)
}

/** Tables and indexes of one row of `table`, with what belongs to it in `others`. */
async function bytesPerRow(table: string, others: readonly string[]): Promise<number> {
  await watcher.query('vacuum full')
  const { rows: sizes } = await watcher.query<{ bytes: string }>(
    'select sum(pg_total_relation_size(oid)) as bytes from pg_class where relname = any($1)',
    [[table, ...others]],
  )
  const { rows } = await watcher.query<{ count: string }>(`select count(*) as count from ${table}`)
  return Math.round(Number(sizes[0]?.bytes) / Number(rows[0]?.count))
}

async function store(): Promise<string> {
  return mediaIdOf(await call('POST', '/v1/media', { headers: { ...octets, ...owner }, body: small }))
}

async function storeInParts(): Promise<string> {
  const sizeBytes = PARTS * PART_BYTES
  const begun = await call('POST', '/v1/uploads', {
    headers: { ...json, ...owner },
    body: JSON.stringify({ sizeBytes }),
  })
  const { uploadId } = begun as { readonly uploadId: string }
  for (let index = 0; index < PARTS; index += 1) {
    await call('PUT', `/v1/uploads/${uploadId}/parts/${index}`, { headers: octets, body: part })
  }
  const path = `/v1/uploads/${uploadId}/complete`
  return mediaIdOf(await call('POST', path, { headers: json, body: JSON.stringify({ sizeBytes }) }))
}

function mediaIdOf(response: unknown): string {
  return (response as { readonly mediaId: string }).mediaId
}

async function call(
  method: 'POST' | 'PUT',
  path: string,
  { headers, body }: { readonly headers: Record<string, string>; readonly body: string | Uint8Array },
): Promise<unknown> {
  const response = await request(server.url + path, { method, headers, body, dispatcher: agent })
  const text = await response.body.text()
  if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`)
  return text === '' ? null : JSON.parse(text)
}

async function drain(path: string): Promise<void> {
  const response = await request(server.url + path, { dispatcher: agent })
  for await (const _ of response.body);
  if (response.statusCode !== 200) throw new Error(`GET ${path}: ${response.statusCode}`)
}
