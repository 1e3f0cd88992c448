/** Takes downloads off counted leases, and gives them back ([Note: counts] in download-counts.ts). */
import type { Selectable } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './database.ts'
import { countsOf } from './download-counts.ts'
import type { LeasesTable } from '../schema.ts'

type LeaseRow = Selectable<LeasesTable>

export interface NewGrant {
  readonly grantId: string
  readonly expiresAt: number
}

export async function takeDownload(db: Db, mediaId: string, grant: NewGrant, now: number): Promise<void> {
  const taken = await db
    .updateTable('leases')
    .set(eb => ({ downloads_left: eb('downloads_left', '-', 1) }))
    .where('media_id', '=', mediaId)
    .where('ended_at', 'is', null)
    .where('expires_at', '>', now)
    .where('downloads_left', '>', 0)
    .where('above_id', 'is', null)
    .returning('media_id')
    .executeTakeFirst()
  if (taken) await addGrants(db, [mediaId], grant)
  else await takeFromCounts(db, mediaId, grant, now)
}

/** Nothing was taken: it counts nothing, has nothing left, or takes from the counts of others as well. */
async function takeFromCounts(db: Db, mediaId: string, grant: NewGrant, now: number): Promise<void> {
  const lease = await findLease(db, mediaId)
  assertLive(lease, now)
  const counts = await countsOf(db, lease)
  if (counts.length === 0) return
  const locked = await lockLeases(db, [...new Set([mediaId, ...counts])])
  for (const each of locked) assertLive(each, now)
  const counting = new Set(counts)
  if (locked.some(each => counting.has(each.media_id) && (each.downloads_left ?? 0) <= 0)) throw exhausted()
  await addToCounts(db, counts, -1)
  await addGrants(db, counts, grant)
}

/** Whether this very call took it when its answer was lost ([Note: lost answers] in database.ts). */
export async function wasTaken(db: Db, mediaId: string, grantId: string): Promise<boolean> {
  const [lease] = await lockLeases(db, [mediaId])
  if (!lease?.counter_id) return false
  const grant = await db
    .selectFrom('grants')
    .select('grant_id')
    .where('media_id', '=', lease.counter_id)
    .where('grant_id', '=', grantId)
    .executeTakeFirst()
  return grant !== undefined
}

export async function returnDownload(db: Db, mediaId: string, grantId: string): Promise<void> {
  const lease = await findLease(db, mediaId)
  const counts = lease ? await countsOf(db, lease) : []
  if (counts.length === 0) return
  await lockLeases(db, counts)
  const grants = await db
    .deleteFrom('grants')
    .where('media_id', 'in', counts)
    .where('grant_id', '=', grantId)
    .returning('media_id')
    .execute()
  const returned = grants.map(row => row.media_id)
  if (returned.length > 0) await addToCounts(db, returned, 1)
}

/** Ascending, as all who lock several ([Note: row locks] in database.ts). */
function lockLeases(db: Db, mediaIds: readonly string[]): Promise<readonly LeaseRow[]> {
  return db.selectFrom('leases').selectAll().where('media_id', 'in', mediaIds).orderBy('media_id').forUpdate().execute()
}

function findLease(db: Db, mediaId: string): Promise<LeaseRow | undefined> {
  return db.selectFrom('leases').selectAll().where('media_id', '=', mediaId).executeTakeFirst()
}

async function addToCounts(db: Db, counts: readonly string[], change: number): Promise<void> {
  await db
    .updateTable('leases')
    .set(eb => ({ downloads_left: eb('downloads_left', '+', change) }))
    .where('media_id', 'in', counts)
    .execute()
}

async function addGrants(db: Db, counts: readonly string[], { grantId, expiresAt }: NewGrant): Promise<void> {
  const rows = counts.map(media_id => ({ media_id, grant_id: grantId, expires_at: expiresAt }))
  await db.insertInto('grants').values(rows).execute()
}

/** @throws gone */
function assertLive(lease: LeaseRow | undefined, now: number): asserts lease is LeaseRow {
  if (lease && lease.ended_at === null && lease.expires_at > now) return
  throw new SealiftError('gone', 'This media has expired or was deleted')
}

export function exhausted(): SealiftError {
  return new SealiftError('downloads_exhausted', 'All downloads that its sender allowed have been used')
}
