/** What a change reads of tables with many rows: counted by the database itself, whatever the plan. */
import { setTimeout } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { createDatabase, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { eventually } from '../support/eventually.ts'
import { completeMedia, LATER, newLease, NOW, PLENTY } from '../support/record-fixtures.ts'

const MANY = 20_000
const FEW = 2000
const id = (letter: string) => `'${letter}' || lpad(i::text, 25, 'a')`

let database: TestDatabase

beforeAll(async () => {
  database = await createDatabase(await sharedEngine(postgresEngine))
  await using records = await open()
  await records.migrate()
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

const open = () =>
  openPostgresRecordStore({ url: database.url, poolSize: 4, connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 })

async function fill(...statements: readonly string[]): Promise<void> {
  const janitor = await database.connect()
  for (const statement of [...statements, 'analyze']) await janitor.query(statement)
  await janitor.end()
}

/** Rows and entries of indexes of `tables` that `work` has read. */
async function readBy(work: (records: RecordStore) => Promise<unknown>, tables: readonly string[]): Promise<number> {
  const janitor = await database.connect()
  try {
    const total = async () => {
      const { rows } = await janitor.query<{ total: string }>(
        `select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))
           + (select sum(idx_tup_read) from pg_stat_user_indexes where relname = any($1)) as total
         from pg_stat_user_tables where relname = any($1)`,
        [tables],
      )
      return Number(rows[0]?.total)
    }
    const alone = async () =>
      eventually('no other session is connected, and all has been counted', async () => {
        const { rows } = await janitor.query(
          'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
        )
        return rows.length === 0
      })
    await alone()
    const before = await total()
    {
      await using records = await open()
      await work(records)
    }
    await alone()
    return (await total()) - before
  } finally {
    await janitor.end()
  }
}

describe('with many rows, PostgreSQL reads few', () => {
  it('to forget the oldest purged blobs, while many more are kept for leases that tell of them', async () => {
    const columns = `100, 'complete', 10, 10, 1, 10, 1, null::bigint, 0`
    await fill(
      `insert into blobs select ${id('d')}, ${columns}, ${NOW} + i, ${NOW} + i from generate_series(1, ${MANY}) i`,
      `insert into leases select ${id('m')}, ${id('d')}, 'c' || i, null, 0, ${NOW}, null, null, ${NOW} + i
        from generate_series(1, ${MANY}) i`,
    )
    const read = await readBy(
      async records => {
        // Each lease, and its blob with it.
        expect(await records.purgeEnded(NOW + 11, NOW, 200)).toBe(20)
        expect(await records.purgeEnded(NOW + 11, NOW, 200)).toBe(0)
      },
      ['blobs', 'leases'],
    )
    expect(read).toBeLessThan(FEW)
    await fill('delete from leases', 'delete from blobs')
  })

  it('to forward a media item that many hold, and to end leases of it', async () => {
    const mediaId = freshId()
    {
      await using records = await open()
      const { blobId } = await completeMedia(records, 10, { lease: { mediaId } })
      await fill(
        `insert into leases select ${id('v')}, '${blobId}', 'c' || i, null, 0, ${LATER}, null, null, null
          from generate_series(1, ${MANY}) i`,
      )
    }
    const read = await readBy(
      async records => {
        for (let index = 0; index < 5; index += 1) {
          const clientId = freshId()
          const lease = await records.addLease({
            fromMediaId: mediaId,
            lease: newLease({ clientId }),
            caps: PLENTY,
            idempotency: null,
          })
          expect(await records.usage(clientId)).toMatchObject({ storedBytes: 10 })
          await records.endLease(lease.mediaId, { clientId, ownerHash: null }, NOW)
          expect(await records.usage(clientId)).toMatchObject({ storedBytes: 0 })
        }
      },
      ['leases'],
    )
    expect(read).toBeLessThan(FEW)
  })
})

describe('what reads whole tables', () => {
  it('may take longer than a statement may', async () => {
    await using records = await openPostgresRecordStore({
      url: database.url,
      poolSize: 4,
      connectTimeoutMs: 60_000,
      statementTimeoutMs: 200,
    })
    const janitor = await database.connect()
    await janitor.query('begin; lock table uploads in access exclusive mode')
    const audit = records.auditUsage(false)
    audit.catch(() => undefined)
    await setTimeout(1500)
    await janitor.query('rollback')
    await expect(audit).resolves.toBeInstanceOf(Array)
    await janitor.end()
  })
})
