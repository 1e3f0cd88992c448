import { sql } from 'kysely'
import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { Db } from '../../src/server/records/queries/transactions.ts'
import { openPostgresDatabase } from '../../src/server/records/postgres/database.ts'
import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { createDatabase, type PostgresFacts, postgresEngine, type TestDatabase } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { completeMedia, LATER, newLease, newParcel, newUpload, NOW, PART, PLENTY } from '../support/record-fixtures.ts'

const settingsOf = (url: string) => ({ url, poolSize: 8, connectTimeoutMs: 60_000, statementTimeoutMs: 10_000 })
const open = (url: string) => openPostgresRecordStore(settingsOf(url))

let facts: PostgresFacts
let database: TestDatabase

beforeAll(async () => {
  facts = await sharedEngine(postgresEngine)
  database = await createDatabase(facts)
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
})

describe('two nodes on one PostgreSQL', () => {
  let nodes: readonly [RecordStore, RecordStore]

  beforeAll(async () => {
    nodes = [await open(database.url), await open(database.url)]
    await Promise.all(nodes.map(node => node.migrate()))
  })
  afterAll(async () => {
    for (const node of nodes) await node[Symbol.asyncDispose]()
  })
  const nodeOf = (index: number): RecordStore => nodes[index % 2] ?? nodes[0]

  it('keep a quota to the byte under sixty-four uploads at once', async () => {
    const clientId = freshId()
    const caps = { ...PLENTY, storedBytes: 10_007 }
    const sizes = Array.from({ length: 64 }, (_, index) => 100 + index * 7)
    const tries = sizes.map(async (sizeBytes, index) => {
      const upload = await nodeOf(index).beginUpload(newUpload({ declaredBytes: sizeBytes, caps, lease: { clientId } }))
      await nodeOf(index + 1).finishInOneStep(upload.uploadId, { sizeBytes, caps, now: NOW })
      return sizeBytes
    })
    const stored = (await Promise.allSettled(tries)).flatMap(each => (each.status === 'fulfilled' ? each.value : []))
    const storedBytes = stored.reduce((sum, sizeBytes) => sum + sizeBytes, 0)
    const usage = { storedBytes, reservedBytes: 0, pendingUploads: 0 }
    expect(await nodes[0].usage(clientId)).toMatchObject(usage)
    expect(await nodes[1].usage(clientId)).toMatchObject(usage)
    expect(storedBytes).toBeLessThanOrEqual(10_007)
    for (const sizeBytes of sizes.filter(each => !stored.includes(each))) {
      expect(storedBytes + sizeBytes).toBeGreaterThan(10_007)
    }
  })

  it('count downloads and devices exactly, and take one of two requests with the same key', async () => {
    const clientId = freshId()
    const media = await completeMedia(nodes[0], 10, { lease: { maxDownloads: 17 } })
    const downloads = Array.from({ length: 100 }, (_, index) =>
      nodeOf(index).takeDownload(media.mediaId, { grantId: freshId(), expiresAt: LATER }, NOW),
    )
    const devices = Array.from({ length: 20 }, (_, index) =>
      nodeOf(index).noteDevice({ clientId, deviceId: `device ${index}`, cap: 3, now: NOW, forgetBefore: 0 }),
    )
    const idempotency = { clientId, key: 'k', fingerprint: 'f', expiresAt: LATER }
    const begun = Array.from({ length: 10 }, (_, index) =>
      nodeOf(index).beginUpload(newUpload({ idempotency, lease: { clientId } })),
    )
    const [taken, seen, made] = await Promise.all([
      Promise.allSettled(downloads),
      Promise.allSettled(devices),
      Promise.all(begun),
    ])
    expect(taken.filter(each => each.status === 'fulfilled')).toHaveLength(17)
    expect(seen.filter(each => each.status === 'fulfilled')).toHaveLength(3)
    expect(new Set(made.map(upload => upload.uploadId)).size).toBe(1)
  })

  it('take the parts of one upload', async () => {
    const { uploadId, blobId } = await nodes[0].beginUpload(newUpload({ declaredBytes: 40 * PART }))
    const parts = Array.from({ length: 40 }, (_, index) => ({ index, sizeBytes: PART }))
    await Promise.all(parts.map(part => nodeOf(part.index).recordPart(uploadId, part, LATER)))
    expect(await nodes[1].durablePrefix(blobId)).toBe(40 * PART)
    const sealed = nodes.map(node => node.finalizeUpload(uploadId, 40 * PART))
    expect(await Promise.all(sealed)).toMatchObject([{ state: 'completing' }, { state: 'completing' }])
    const finished = nodes.map(node => node.finishUpload(uploadId, NOW))
    expect(await Promise.all(finished)).toMatchObject([{ state: 'complete' }, { state: 'complete' }])
  })

  it('do the upkeep at once and end everything once', async () => {
    const clientId = freshId()
    const expiring = Array.from({ length: 60 }, (_, index) =>
      completeMedia(nodeOf(index), 10, { lease: { clientId, expiresAt: NOW + 1 } }),
    )
    const idle = Array.from({ length: 60 }, (_, index) =>
      nodeOf(index).beginUpload(newUpload({ declaredBytes: 5, expiresAt: NOW + 1, lease: { clientId } })),
    )
    await Promise.all([...expiring, ...idle])
    const sweep = async (node: RecordStore) => {
      while ((await node.endExpiredLeases(NOW + 1, 7)) > 0);
      while ((await node.abortExpiredUploads(NOW + 1, 7)) > 0);
      for (const { blobId } of await node.listTombstones(1000)) await node.purgeBlob(blobId)
      while ((await node.purgeEnded(NOW + 2, NOW + 2, 7)) > 0);
    }
    await Promise.all([...nodes, ...nodes].map(sweep))
    expect(await nodes[0].usage(clientId)).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
    expect(await nodes[0].listTombstones(1000)).toEqual([])
    expect(await nodes[0].auditUsage(false)).toEqual([])
  })

  it('meet in any order without ever waiting in a circle', async () => {
    const clients = [freshId(), freshId(), freshId()]
    const media = await Promise.all(clients.map(clientId => completeMedia(nodes[0], 10, { lease: { clientId } })))
    const crowd = Array.from({ length: 120 }, async (_, index) => {
      const node = nodeOf(index)
      const clientId = clients[index % 3] ?? ''
      const from = media[(index + 1) % 3]?.mediaId ?? ''
      const lease = { ...newUpload().lease, mediaId: freshId(), clientId }
      await node.addLease({ fromMediaId: from, lease, caps: PLENTY, idempotency: null })
      const parcelId = freshId()
      const parcel = newParcel([lease.mediaId], { parcelId, clientId })
      await node.publishParcel(parcel, { clientId, ownerHash: null })
      await node.endParcel(parcelId, { clientId, ownerHash: null }, NOW)
    })
    await Promise.all(crowd)
    const janitor = await database.connect()
    const { rows } = await janitor.query('select deadlocks from pg_stat_database where datname = current_database()')
    await janitor.end()
    expect(rows).toEqual([{ deadlocks: '0' }])
    expect(await nodes[0].auditUsage(false)).toEqual([])
  })

  it('end leases of a media item that one client forwards without a pause, and sweep', async () => {
    const settings = { ...settingsOf(database.url), poolSize: 16, statementTimeoutMs: 2000 }
    await using busy = await openPostgresRecordStore(settings)
    await using calm = await openPostgresRecordStore(settings)
    const media = await completeMedia(calm, 10)
    const forward = (clientId: string, expiresAt = LATER) => newLease({ clientId, expiresAt })
    const stop = new AbortController()
    const lanes = Array.from({ length: 10 }, async () => {
      while (!stop.signal.aborted)
        await busy.addLease({ fromMediaId: media.mediaId, lease: forward('eve'), caps: PLENTY, idempotency: null })
    })
    try {
      const terms = { fromMediaId: media.mediaId, caps: PLENTY, idempotency: null }
      const short = await calm.addLease({ ...terms, lease: forward('bob', NOW + 1) })
      const other = await completeMedia(calm, 10, { lease: { expiresAt: NOW + 1 } })
      const lease = await calm.addLease({ ...terms, lease: forward('bob') })
      await calm.endLease(lease.mediaId, { clientId: 'bob', ownerHash: null }, NOW)
      await calm.endExpiredLeases(NOW + 1, 200)
      for (const { mediaId } of [short, other]) {
        expect(await calm.findMedia(mediaId)).toMatchObject({ endedAt: NOW + 1 })
      }
    } finally {
      stop.abort()
      await Promise.all(lanes)
    }
    expect(await calm.auditUsage(false)).toEqual([])
  })

  it('work by their probes while one of them is blocked in the middle of its own', async () => {
    await using node = await openPostgresRecordStore({ ...settingsOf(database.url), statementTimeoutMs: 500 })
    await node.probe()
    const still = await database.connect()
    await still.query('begin; update probes set count = count + 1')
    const probes = await Promise.allSettled([1, 2, 3, 4].map(() => node.probe()))
    await still.query('rollback')
    await still.end()
    expect(probes.map(({ status }) => status)).toContain('fulfilled')
  })

  it('go on while a newer node changes a table whose rows they have asked for', async () => {
    const media = await completeMedia(nodes[0], 10)
    for (let index = 0; index < 10; index++) await nodes[0].findMedia(media.mediaId)
    const janitor = await database.connect()
    await janitor.query('alter table leases add column of_the_future bigint')
    expect(await Promise.all([1, 2, 3, 4].map(() => nodes[0].findMedia(media.mediaId)))).toEqual(
      Array.from({ length: 4 }, () => media),
    )
    await nodes[0].endLease(media.mediaId, { clientId: 'alice', ownerHash: null }, NOW)
    await janitor.query('alter table leases drop column of_the_future')
    await janitor.end()
  })

  it('repair wrong charges beside uploads that go on', async () => {
    const clientId = freshId()
    await completeMedia(nodes[0], 10, { lease: { clientId } })
    const janitor = await database.connect()
    await janitor.query('update client_usage set stored_bytes = stored_bytes + 7 where client_id = $1', [clientId])
    await janitor.end()
    const going = Array.from({ length: 40 }, (_, index) =>
      completeMedia(nodeOf(index), 10, { lease: { clientId: index % 2 ? clientId : freshId() } }),
    )
    const [repaired] = await Promise.all([nodes[1].auditUsage(true), ...going])
    expect(repaired.map(wrong => wrong.clientId)).toEqual([clientId])
    expect(await nodes[0].auditUsage(false)).toEqual([])
    expect(await nodes[0].usage(clientId)).toMatchObject({ storedBytes: 210 })
  })

  it('wait for the disk even if the database is set not to', async () => {
    const janitor = await database.connect()
    const name = new URL(database.url).pathname.slice(1)
    await janitor.query(`alter database ${name} set synchronous_commit = off`)
    await using records = openPostgresDatabase(settingsOf(database.url))
    const show = async (db: Db) => (await sql<object>`show synchronous_commit`.execute(db)).rows
    expect(await records.write(show)).toEqual([{ synchronous_commit: 'on' }])
    await janitor.query(`alter database ${name} set synchronous_commit = remote_apply`)
    await using strict = openPostgresDatabase(settingsOf(database.url))
    expect(await strict.write(show)).toEqual([{ synchronous_commit: 'remote_apply' }])
    await janitor.query(`alter database ${name} reset synchronous_commit`)
    await janitor.end()
  })

  it('keep a text that PostgreSQL cannot hold out of it', async () => {
    await expect(
      nodes[0].noteDevice({ clientId: 'alice', deviceId: 'a \0 device', cap: 5, now: NOW, forgetBefore: 0 }),
    ).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})

describe('the schema on PostgreSQL', () => {
  it('is made once by many nodes that start at once', async () => {
    await using empty = await createDatabase(facts)
    const nodes = await Promise.all(Array.from({ length: 8 }, () => open(empty.url)))
    await expect(nodes[0]?.checkSchema()).rejects.toMatchObject({ message: expect.stringContaining('empty') })
    await Promise.all(nodes.map(node => node.migrate()))
    await Promise.all(nodes.map(node => node.checkSchema()))
    for (const node of nodes) await node[Symbol.asyncDispose]()
  })

  it('is its own beside other programs that keep tables of the same names in other schemas', async () => {
    await using shared = await createDatabase(facts)
    const janitor = await shared.connect()
    await janitor.query(`create schema another; create schema second;
      create table another.kysely_migration (name varchar(255) primary key, timestamp varchar(255) not null);
      create table another.kysely_migration_lock (id varchar(255) primary key, is_locked integer not null default 0);
      insert into another.kysely_migration values ('9999_of_another_program', '2030-01-01')`)
    for (const search of ['', '?options=-c%20search_path%3Dsecond']) {
      await using node = await open(shared.url + search)
      await expect(node.checkSchema()).rejects.toMatchObject({ message: expect.stringContaining('empty') })
      await node.migrate()
      await node.checkSchema()
      expect(await node.totals()).toMatchObject({ blobs: 0 })
      await completeMedia(node, 10)
    }
    await janitor.end()
  })

  it('is refused when it is newer than this program knows, or older where it may not be changed', async () => {
    await using used = await createDatabase(facts)
    await using node = await open(used.url)
    await node.migrate()
    const janitor = await used.connect()
    await janitor.query("delete from kysely_migration where name = '0003_holders'")
    await expect(node.checkSchema()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('older version'),
    })
    await janitor.query(
      "insert into kysely_migration values ('0003_holders', '2030-01-01'), ('9999_future', '2099-01-01')",
    )
    for (const check of [() => node.migrate(), () => node.checkSchema()]) {
      await expect(check()).rejects.toMatchObject({
        code: 'unavailable',
        message: 'The records were written by a newer version of Sealift: start that version',
      })
    }
    await janitor.end()
  })
})

describe('an address of PostgreSQL that is wrong', () => {
  const urlWith = (change: (url: URL) => void) => {
    const url = new URL(facts.url)
    change(url)
    return url.href
  }

  it.each([
    ['password', (url: URL) => void (url.password = 'hunter2'), 'refuses the password of "postgres"'],
    ['no password', (url: URL) => void (url.password = ''), 'requires a password for "postgres"'],
    ['user', (url: URL) => void (url.username = 'mallory'), 'refuses the password of "mallory"'],
    ['database', (url: URL) => void (url.pathname = '/nowhere'), 'there is no database "nowhere"'],
    ['port', (url: URL) => void (url.port = '1'), 'no server listens at 127.0.0.1:1'],
    ['host', (url: URL) => void (url.hostname = 'db.invalid'), 'db.invalid'],
    ['TLS', (url: URL) => url.searchParams.set('sslmode', 'verify-full'), 'no secure connection'],
  ])('(%s) is reported in one line that names the setting, without the secret', async (_, change, expected) => {
    const refused = await open(urlWith(change)).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'unavailable', message: expect.stringContaining(expected) })
    const { message, stack, cause } = refused as Error
    expect(message).toMatch(/^records\.postgres\.url: [^\n]+$/)
    expect(`${message} ${stack} ${String(cause)}`).not.toMatch(/hunter2|a-password-of-tests/)
  })

  it('is no address at all', async () => {
    for (const url of ['', 'nonsense', 'mysql://a:hunter2@b/c', 'postgres://a:hunter2@b:99999/c']) {
      await expect(open(url)).rejects.toMatchObject({
        code: 'unavailable',
        message: 'records.postgres.url is not postgres://user:password@host:port/database',
      })
    }
  })
})

describe('questions of the upkeep with many rows', () => {
  const QUESTIONS: readonly (readonly [string, string])[] = [
    ['expired leases', `select media_id from leases where ended_at is null and expires_at <= 5 limit 200`],
    [
      'used up leases',
      `select media_id from leases where ended_at is null and downloads_left <= 0 and not exists
        (select grant_id from grants where grants.media_id = leases.media_id and grants.expires_at > 5) limit 200`,
    ],
    ['ended leases', `select media_id from leases where ended_at < 5 limit 200`],
    [
      'tombstones',
      `select blob_id from blobs where deleted_at is not null and purged_at is null
        order by deleted_at limit 200`,
    ],
    [
      'idle uploads',
      `select uploads.media_id from uploads join blobs on blobs.blob_id = uploads.blob_id
        where uploads.finished_at is null and uploads.expires_at <= 5 and blobs.state = 'uploading' limit 200`,
    ],
    ['completing', `select blob_id from blobs where state = 'completing' and deleted_at is null limit 200`],
    [
      'held bytes',
      `select uploads.upload_id from uploads join blobs on blobs.blob_id = uploads.blob_id
        where uploads.finished_at is not null and uploads.reserved_bytes > 0 and blobs.addresses_until <= 5
          and uploads.upload_id > 'm' order by uploads.upload_id limit 200`,
    ],
    ['idle clients', `select client_id from client_usage where idle = 1 limit 200 for update skip locked`],
    ['lapsed keys', `select client_id, key from idempotency where expires_at <= 5 limit 200`],
    ['unseen devices', `select client_id from devices where seen_at < 5 limit 200`],
    ['live blobs', `select blob_id from blobs where deleted_at is null and blob_id > 'm' order by blob_id limit 200`],
  ]
  let connection: Client

  beforeAll(async () => {
    const many = await open(database.url)
    await many.migrate()
    await many[Symbol.asyncDispose]()
    connection = await database.connect()
    for (const statement of MANY_ROWS) await connection.query(statement)
  })
  afterAll(async () => {
    await connection.end()
  })

  it.each(QUESTIONS)('use an index: %s', async (_, question) => {
    const { rows } = await connection.query<{ 'QUERY PLAN': string }>(`explain ${question}`)
    const plan = rows.map(row => row['QUERY PLAN']).join('\n')
    expect(plan).toMatch(/Index/)
    expect(plan).not.toMatch(/Seq Scan/)
  })
})

const id = `lpad(i::text, 26, 'a')`
const MANY_ROWS = [
  `insert into blobs select ${id}, 100, 'complete', 10, 10, 1, 10, 1, null, 0, null, null from generate_series(1, 20000) i`,
  `insert into uploads select ${id}, ${id}, ${id}, 'c' || i, null, 0, 10, i, case when i > 100 then i end
    from generate_series(1, 20000) i`,
  `insert into leases select ${id}, ${id}, 'c' || i, null, 0, 1000 + i, 5, 5, case when i % 9 = 0 then i end
    from generate_series(1, 20000) i`,
  `insert into client_usage select 'c' || i, 10, 0, 0, 0 from generate_series(1, 20000) i`,
  `insert into idempotency select 'c' || i, 'k', 'f', 'm', i from generate_series(1, 20000) i`,
  `insert into devices select 'c' || i, 'd', i from generate_series(1, 20000) i`,
  `insert into grants select ${id}, 'g', i from generate_series(1, 20000) i`,
  `analyze`,
]
