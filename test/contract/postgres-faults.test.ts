import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'

import { isSealiftError } from '../../src/protocol/errors.ts'
import { openPostgresRecordStore, type PostgresRecordStoreOptions } from '../../src/server/records/postgres/index.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { createDatabase, type RunningPostgres, startPostgres, type TestDatabase } from '../support/engines/postgres.ts'
import { eventually } from '../support/eventually.ts'
import { completeMedia, newUpload, NOW, PLENTY } from '../support/record-fixtures.ts'

/** Nothing waits longer than the time of a statement, of a connection, and of asking after a lost commit. */
const NO_HANG_MS = 12_000

describe('records on PostgreSQL, when the database fails', () => {
  let engine: RunningPostgres
  let database: TestDatabase
  let records: RecordStore
  const open = (changes: Partial<PostgresRecordStoreOptions> = {}) =>
    openPostgresRecordStore({
      url: database.url,
      poolSize: 12,
      connectTimeoutMs: 3000,
      statementTimeoutMs: 1000,
      ...changes,
    })
  const recovered = () =>
    eventually(
      'the store works again by itself',
      () =>
        records.probe().then(
          () => true,
          () => false,
        ),
      30_000,
    )

  beforeAll(async () => {
    engine = await startPostgres()
    database = await createDatabase(engine.facts)
    records = await open()
    await records.migrate()
  })
  afterEach(async () => {
    engine.resume()
    await recovered()
  })
  afterAll(async () => {
    await records[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()
  })

  it.each(['immediate', 'fast'] as const)(
    'loses nothing that was acknowledged when it is restarted (%s) amid sixty-four writers',
    async how => {
      const clientId = freshId()
      const acknowledged: string[] = []
      const refusals: unknown[] = []
      const stop = new AbortController()
      const writer = async () => {
        while (!stop.signal.aborted) {
          try {
            const upload = await records.beginUpload(newUpload({ declaredBytes: 10, lease: { clientId } }))
            const media = await records.finishInOneStep(upload.uploadId, { sizeBytes: 10, caps: PLENTY, now: NOW })
            acknowledged.push(media.mediaId)
          } catch (error) {
            refusals.push(error)
            await new Promise(resolve => {
              setTimeout(resolve, 50)
            })
          }
        }
      }
      const writers = Array.from({ length: 64 }, writer)
      await eventually('something is stored', () => acknowledged.length > 40)
      await engine.restart(how)
      const before = acknowledged.length
      await eventually('storing goes on by itself', () => acknowledged.length > before + 40, 30_000)
      stop.abort()
      await Promise.all(writers)
      expect(refusals.filter(error => !isSealiftError(error, 'unavailable'))).toEqual([])
      const found = await Promise.all(acknowledged.map(mediaId => records.findMedia(mediaId)))
      expect(found.filter(media => media?.state !== 'complete')).toEqual([])
      expect(await records.auditUsage(false)).toEqual([])
    },
  )

  it('throws `unavailable` while the database is away, and works again when it is back', async () => {
    const media = await completeMedia(records, 10)
    await engine.stop('fast')
    await expect(records.findMedia(media.mediaId)).rejects.toMatchObject({ code: 'unavailable' })
    await expect(records.beginUpload(newUpload())).rejects.toMatchObject({ code: 'unavailable' })
    await expect(records.probe()).rejects.toMatchObject({ code: 'unavailable' })
    await engine.start()
    expect(await records.findMedia(media.mediaId)).toEqual(media)
    await records.beginUpload(newUpload())
  })

  it('never hangs while the database is blocked, and works again when it resumes', async () => {
    const media = await completeMedia(records, 10)
    engine.pause()
    const before = performance.now()
    const asked = [
      ...Array.from({ length: 30 }, () => records.findMedia(media.mediaId)),
      ...Array.from({ length: 30 }, () => records.beginUpload(newUpload({ declaredBytes: 10 }))),
      records.probe(),
    ]
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } })
    }
    expect(performance.now() - before).toBeLessThan(NO_HANG_MS)
    engine.resume()
    await recovered()
    expect(await records.findMedia(media.mediaId)).toEqual(media)
    expect(await records.auditUsage(false)).toEqual([])
  })

  it('can be closed while the database is blocked', async () => {
    const other = await open()
    await other.probe()
    engine.pause()
    const asked = other.probe().catch((error: unknown) => error)
    const before = performance.now()
    await other[Symbol.asyncDispose]()
    expect(performance.now() - before).toBeLessThan(NO_HANG_MS)
    expect(await asked).toMatchObject({ code: 'unavailable' })
    engine.resume()
    await expect(other.probe()).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('reports a lock that another session holds for too long, and works again afterwards', async () => {
    const upload = await records.beginUpload(newUpload({ declaredBytes: 10 }))
    const blocker = await database.connect()
    await blocker.query('begin')
    await blocker.query('select * from blobs for update')
    await expect(
      records.finishInOneStep(upload.uploadId, { sizeBytes: 10, caps: PLENTY, now: NOW }),
    ).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('records.postgres.statementTimeout'),
    })
    await blocker.query('rollback')
    await blocker.end()
    expect(await records.finishInOneStep(upload.uploadId, { sizeBytes: 10, caps: PLENTY, now: NOW })).toMatchObject({
      state: 'complete',
    })
  })

  it('frees the locks of a node that is blocked in the middle of a change', async () => {
    const upload = await records.beginUpload(newUpload({ declaredBytes: 10 }))
    const sleeper = await database.connect()
    await sleeper.query('set idle_in_transaction_session_timeout = 500')
    await sleeper.query('begin')
    await sleeper.query('select * from blobs for update')
    expect(await records.finishInOneStep(upload.uploadId, { sizeBytes: 10, caps: PLENTY, now: NOW })).toMatchObject({
      state: 'complete',
    })
    await sleeper.end().catch(() => undefined)
  })

  it('runs queries, refuses changes and says why while the database is read-only', async () => {
    const media = await completeMedia(records, 10)
    const janitor = await database.connect()
    const name = new URL(database.url).pathname.slice(1)
    await janitor.query(`alter database ${name} set default_transaction_read_only = on`)
    await using other = await open()
    expect(await other.findMedia(media.mediaId)).toEqual(media)
    for (const change of [() => other.probe(), () => other.beginUpload(newUpload())]) {
      await expect(change()).rejects.toMatchObject({
        code: 'unavailable',
        message: 'The record database is read-only (records.postgres.url)',
      })
    }
    await janitor.query('set default_transaction_read_only = off')
    await janitor.query(`alter database ${name} reset default_transaction_read_only`)
    await janitor.end()
    await other.probe()
  })
})
