/** What a new version makes of the rows that an older one left, on each database. */
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'

import type { Db, RecordDatabase } from '../../src/server/records/database.ts'
import { createKyselyRecordStore } from '../../src/server/records/kysely-record-store.ts'
import type { RecordStore } from '../../src/server/records/record-store.ts'
import { freshId } from '../support/blob-bytes.ts'
import { makeOldSchema } from '../support/old-schema.ts'
import { bytesFor } from '../support/random.ts'
import { LATER, NOW, PLENTY } from '../support/record-fixtures.ts'

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
          expect(await records.findParcelFacts(live)).toMatchObject({ ...facts, manifestBytes: 300_000, endedAt: null })
          expect(Buffer.from((await records.readManifest(live, 7)) ?? []).equals(manifest)).toBe(true)
          expect(await records.findParcelFacts(ended)).toMatchObject({ ...facts, manifestBytes: 0, endedAt: NOW })
          expect(await records.readManifest(ended, 7)).toBeNull()
          const next = { ifVersion: 7, manifest: Buffer.from('next'), media: [], caps: PLENTY }
          expect(await records.replaceManifest(live, next, ALICE, NOW)).toMatchObject({ version: 8, manifestBytes: 4 })
        },
      )
    })
  })
}
