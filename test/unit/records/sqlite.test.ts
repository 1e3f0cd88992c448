import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import BetterSqlite3 from 'better-sqlite3'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { openSqliteDatabase } from '../../../src/server/records/sqlite/database.ts'
import { openSqliteRecordStore } from '../../../src/server/records/sqlite/index.ts'
import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, LATER, newUpload, NOW, PART, PLENTY, putParts } from '../../support/record-fixtures.ts'
import { type TempDirectory, tempDirectory } from '../../support/temp-directory.ts'

describe('records on SQLite', () => {
  let directory: TempDirectory
  let file: string
  const open = async () => {
    const records = await openSqliteRecordStore({ file, busyTimeoutMs: 100 })
    await records.migrate()
    return records
  }

  beforeEach(async () => {
    directory = await tempDirectory()
    file = join(directory.path, 'records.db')
  })
  afterEach(async () => {
    await directory[Symbol.asyncDispose]()
  })

  it('keeps everything when it is closed and opened again', async () => {
    const media = await (async () => {
      await using records = await open()
      return await completeMedia(records, 10)
    })()
    await using again = await open()
    expect(await again.findMedia(media.mediaId)).toEqual(media)
  })

  it('leaves everything in one file after a clean stop, which no other user may read', async () => {
    const records = await open()
    await completeMedia(records, 10)
    await records[Symbol.asyncDispose]()
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(`${file}-wal`).catch(() => ({ size: 0 }))).size).toBe(0)
  })

  it('marks each change, also of another process, before its caller learns of it; and marks nothing else', async () => {
    await using here = await open()
    await using there = await open()
    const janitor = new BetterSqlite3(file)
    for (let round = 0; round < 5; round += 1) {
      const media = await completeMedia(here, 10)
      const mark = here.changeMark()
      await here.findMedia(media.mediaId)
      expect(here.changeMark()).toBe(mark)
      await there.endLease(media.mediaId, { clientId: media.clientId, ownerHash: null }, NOW)
      expect(here.changeMark()).not.toBe(mark)
      // The log begins anew: later entries must be distinguishable from earlier ones.
      janitor.pragma('wal_checkpoint(TRUNCATE)')
      const afterwards = here.changeMark()
      await completeMedia(here, 10)
      expect(here.changeMark()).not.toBe(afterwards)
    }
    janitor.close()
  })

  it('syncs every commit to disk, in a log beside the file', async () => {
    await using database = openSqliteDatabase({ file, busyTimeoutMs: 100, cacheBytes: 2 ** 20 })
    const settings = await database.write(async db => [
      ...(await sql`pragma synchronous`.execute(db)).rows,
      ...(await sql`pragma journal_mode`.execute(db)).rows,
    ])
    expect(settings).toEqual([{ synchronous: 2 }, { journal_mode: 'wal' }])
  })

  it('lets everything that was asked for become durable before it closes, and takes nothing more', async () => {
    const records = await open()
    const uploads = Array.from({ length: 50 }, () => newUpload({ declaredBytes: 10 }))
    const begun = Promise.all(uploads.map(upload => records.beginUpload(upload)))
    await records[Symbol.asyncDispose]()
    await begun
    await expect(records.beginUpload(newUpload())).rejects.toMatchObject({ code: 'unavailable' })
    await expect(records.findUpload(freshId())).rejects.toMatchObject({ code: 'unavailable' })
    await using again = await open()
    for (const { uploadId } of uploads) expect(await again.findUpload(uploadId)).toMatchObject({ uploadId })
  })

  it('refuses a schema that is newer than it knows, and changes nothing', async () => {
    await (await open())[Symbol.asyncDispose]()
    const database = new BetterSqlite3(file)
    const steps = () => database.prepare('select count(*) from kysely_migration').pluck().get() as number
    const known = steps()
    database.exec("insert into kysely_migration values ('9999_from_the_future', '2099-01-01')")
    await using records = await openSqliteRecordStore({ file })
    await expect(records.migrate()).rejects.toMatchObject({
      code: 'unavailable',
      context: { unknown: ['9999_from_the_future'] },
    })
    expect(steps()).toBe(known + 1)
    database.close()
  })

  it('does not open what is not a database, or where there is no folder', async () => {
    await writeFile(file, 'this is a letter, not a database. '.repeat(100))
    await expect(openSqliteRecordStore({ file })).rejects.toMatchObject({ code: 'unavailable' })
    const nowhere = join(directory.path, 'no', 'records.db')
    await expect(openSqliteRecordStore({ file: nowhere })).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('refuses changes while another process holds the lock for too long, still runs queries, and recovers', async () => {
    await using records = await open()
    const media = await completeMedia(records, 10)
    const other = new BetterSqlite3(file)
    other.exec('begin immediate')
    await expect(records.beginUpload(newUpload())).rejects.toMatchObject({ code: 'unavailable' })
    expect(await records.findMedia(media.mediaId)).toEqual(media)
    other.exec('rollback')
    other.close()
    await records.beginUpload(newUpload())
  })

  it('shares its file with another process that uses it the same way', async () => {
    await using first = await open()
    await using second = await open()
    const caps = { storedBytes: 1000 }
    const begin = (index: number) =>
      (index % 2 ? first : second).beginUpload(newUpload({ declaredBytes: 70, caps })).then(
        () => 1,
        () => 0,
      )
    const begun = await Promise.all(Array.from({ length: 40 }, (_, index) => begin(index)))
    expect(begun.reduce<number>((sum, one) => sum + one, 0)).toBe(14)
    expect(await first.usage('alice')).toMatchObject(await second.usage('alice'))
  })

  it('asks the writing thread nothing for a part of a declared size', async () => {
    await using records = await open()
    const { uploadId } = await records.beginUpload(newUpload({ declaredBytes: 2 * PART }))
    const other = new BetterSqlite3(file)
    other.exec('begin immediate')
    expect(await records.reservePart(uploadId, { index: 0, sizeBytes: PART }, PLENTY)).toBeNull()
    await expect(records.reservePart(uploadId, { index: 2, sizeBytes: PART }, PLENTY)).rejects.toMatchObject({
      code: 'size_mismatch',
    })
    other.exec('rollback')
    other.close()
  })

  it('notes a device that was noted a moment ago without writing', async () => {
    await using records = await open()
    const see = (now: number) =>
      records.noteDevice({ clientId: 'alice', deviceId: 'phone', cap: 1, now, forgetBefore: now - 1_000_000 })
    await see(NOW)
    const other = new BetterSqlite3(file)
    other.exec('begin immediate')
    await see(NOW + 1000)
    await expect(see(NOW + 600_000)).rejects.toMatchObject({ code: 'unavailable' })
    other.exec('rollback')
    other.close()
  })

  it('finds and repairs what a client is wrongly charged', async () => {
    await using records = await open()
    await completeMedia(records, 10)
    const upload = await records.beginUpload(newUpload({ lease: { clientId: 'bob' } }))
    await putParts(records, upload, { 0: 60 })
    const tamperer = new BetterSqlite3(file)
    tamperer.exec("update client_usage set stored_bytes = 11 where client_id = 'alice'")
    tamperer.exec("delete from client_usage where client_id = 'bob'")
    tamperer.exec(
      "insert into client_usage (client_id, stored_bytes, reserved_bytes, pending_uploads) values ('unknown-client', 5, 0, 0)",
    )
    tamperer.close()
    const nothing = { storedBytes: 0, storedRows: 0, reservedBytes: 0, pendingUploads: 0 }
    const one = { ...nothing, storedRows: 1 }
    const wrong = [
      { clientId: 'alice', charged: { ...one, storedBytes: 11 }, actual: { ...one, storedBytes: 10 } },
      {
        clientId: 'bob',
        charged: nothing,
        actual: { ...nothing, storedRows: 2, reservedBytes: 60, pendingUploads: 1 },
      },
      { clientId: 'unknown-client', charged: { ...nothing, storedBytes: 5 }, actual: nothing },
    ]
    expect(await records.auditUsage(false)).toEqual(wrong)
    expect(await records.auditUsage(true)).toEqual(wrong)
    expect(await records.auditUsage(false)).toEqual([])
    expect(await records.usage('bob')).toMatchObject({ reservedBytes: 60 })
  })

  it('carries an error through from its thread with code, context and message', async () => {
    await using records = await open()
    const upload = await records.beginUpload(newUpload({ declaredBytes: 10 * PART }))
    await records.recordPart(upload.uploadId, { index: 3, sizeBytes: PART }, LATER)
    await expect(records.finalizeUpload(upload.uploadId, 10 * PART)).rejects.toMatchObject({
      name: 'SealiftError',
      code: 'parts_missing',
      message: 'Some parts are not stored yet: send them, then complete again',
      context: {
        missing: [
          [0, 2],
          [4, 9],
        ],
      },
    })
  })
})
