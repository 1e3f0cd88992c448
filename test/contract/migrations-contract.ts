/** What a new version makes of the rows that an older one left, on each database. */
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'

import type { Db, RecordDatabase } from '../../src/server/records/queries/transactions.ts'
import { createKyselyRecordStore } from '../../src/server/records/queries/kysely-record-store.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { makeOldSchema } from '../support/old-schema.ts'
import { bytesFor } from '../support/random.ts'
import { LATER, newLease, NOW, PLENTY } from '../support/record-fixtures.ts'

export interface EmptyDatabase extends AsyncDisposable {
  open(): RecordDatabase
}

const ALICE = { clientId: 'alice', ownerHash: null }

/** `create` gives a database without a table. */
export function migrationsContract(name: string, create: () => Promise<EmptyDatabase>): void {
  describe(`${name}: records of an older version`, () => {
    const upgrade = async (
      last: string,
      fill: (db: Db) => Promise<void>,
      check: (records: RecordStore) => Promise<void>,
    ): Promise<void> => {
      await using empty = await create()
      {
        await using old = empty.open()
        await old.exclusively(async db => {
          await makeOldSchema(db, old.dialect, last)
          await fill(db)
        })
      }
      await using records = createKyselyRecordStore(empty.open())
      await records.migrate()
      await check(records)
    }

    it('keep the manifest of each live parcel, and its size', async () => {
      const [live, ended] = [freshId(), freshId()]
      const manifest = Buffer.from(bytesFor('old manifest', 300_000))
      await upgrade(
        '0004_addresses',
        async db => {
          const add = (parcelId: string, bytes: Buffer, endedAt: number | null) =>
            sql`insert into parcels (parcel_id, client_id, owner_hash, version, manifest, created_at, expires_at, ended_at)
              values (${parcelId}, 'alice', null, 7, ${bytes}, ${NOW}, ${LATER}, ${endedAt})`.execute(db)
          await add(live, manifest, null)
          await add(ended, Buffer.alloc(0), NOW)
        },
        async records => {
          const facts = { clientId: 'alice', version: 7, createdAt: NOW, expiresAt: LATER }
          expect(await records.findParcel(live)).toMatchObject({ ...facts, manifestBytes: 300_000, endedAt: null })
          expect(Buffer.from((await records.readManifest(live, 7)) ?? []).equals(manifest)).toBe(true)
          expect(await records.findParcel(ended)).toMatchObject({ ...facts, manifestBytes: 0, endedAt: NOW })
          expect(await records.readManifest(ended, 7)).toBeNull()
          const next = { ifVersion: 7, manifest: Buffer.from('next'), media: [], caps: PLENTY }
          expect(await records.replaceManifest(live, { ...next, now: NOW }, ALICE)).toMatchObject({
            version: 8,
            manifestBytes: 4,
          })
        },
      )
    })

    it('are charged for the manifests and rows that they hold, and counted leases keep their counts', async () => {
      const [counted, plain, over] = [freshId(), freshId(), freshId()]
      const parcelId = freshId()
      const open = freshId()
      await upgrade(
        '0004_addresses',
        async db => {
          const blob = (id: string, state: string, size: number | null) =>
            sql`insert into blobs values (${id}, 100, ${state}, null, ${size}, 1, 10, 1, null, ${NOW}, null, null, null)`.execute(
              db,
            )
          const lease = (id: string, client: string, max: number | null, endedAt: number | null) =>
            sql`insert into leases values (${id}, ${'b' + id.slice(1)}, ${client}, null, ${NOW}, ${LATER}, ${max},
              ${max === null ? null : max - 1}, ${endedAt})`.execute(db)
          for (const id of [counted, plain]) await blob('b' + id.slice(1), 'complete', 10)
          await lease(counted, 'alice', 5, null)
          await lease(plain, 'bob', null, null)
          await lease(over, 'carol', null, NOW)
          await sql`insert into client_usage values ('alice', 10, 0, 0, 0), ('bob', 10, 0, 1, 0)`.execute(db)
          await sql`insert into parcels values (${parcelId}, 'alice', null, 1, ${Buffer.alloc(70)}, ${NOW}, ${LATER}, null)`.execute(
            db,
          )
          await sql`insert into parcel_media values (${parcelId}, ${counted}), (${parcelId}, ${plain})`.execute(db)
          await sql`insert into idempotency values ('dave', 'k', 'f', ${parcelId}, ${LATER})`.execute(db)
          await blob('b' + open.slice(1), 'uploading', null)
          await lease(open, 'bob', null, null)
          await sql`insert into uploads values (${open}, ${'b' + open.slice(1)}, ${open}, 'bob', null, 0, 1000, ${LATER}, null)`.execute(
            db,
          )
          await sql`insert into parts values (${'b' + open.slice(1)}, 0, 0, 1), (${'b' + open.slice(1)}, 1, 0, 0)`.execute(
            db,
          )
        },
        async records => {
          expect(await records.usage('alice')).toMatchObject({ storedBytes: 80, storedRows: 6 + 3 })
          expect(await records.usage('bob')).toMatchObject({ storedBytes: 10, storedRows: 2 + 2, pendingUploads: 1 })
          expect(await records.usage('carol')).toMatchObject({ storedBytes: 0, storedRows: 1 })
          expect(await records.usage('dave')).toMatchObject({ storedBytes: 0, storedRows: 1 })
          expect(await records.auditUsage(false)).toEqual([])
          const forward = await records.addLease({
            fromMediaId: counted,
            lease: newLease({ clientId: 'eve' }),
            caps: PLENTY,
            idempotency: null,
          })
          expect(forward).toMatchObject({ maxDownloads: 4, downloadsUsed: 0 })
          await records.takeDownload(forward.mediaId, { grantId: freshId(), expiresAt: LATER }, NOW)
          expect(await records.findMedia(counted)).toMatchObject({ maxDownloads: 5, downloadsUsed: 2 })
          await records.endParcel(parcelId, ALICE, NOW)
          expect(await records.findMedia(forward.mediaId)).toMatchObject({ endedAt: NOW })
          await records.abortUpload(open, NOW)
          for (const { blobId } of await records.listTombstones(10)) await records.purgeBlob(blobId)
          while ((await records.purgeEnded(LATER, LATER, 100)) > 0);
          const nothing = { storedBytes: 0, storedRows: 0, reservedBytes: 0, pendingUploads: 0 }
          for (const name of ['alice', 'bob', 'carol', 'dave', 'eve'])
            expect(await records.usage(name)).toEqual(nothing)
          expect(await records.auditUsage(false)).toEqual([])
        },
      )
    })
  })
}
