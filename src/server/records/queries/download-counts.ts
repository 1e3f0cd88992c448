/**
 * [Note: counts] A counted lease has a count of downloads, and so has each forward of it that requested fewer than were
 * left; other forwards share the count of their source. A download takes one from the nearest count and from every
 * count above it, so that forwards never allow more downloads than their source. Each of these counts stores the
 * grant. Links between leases never change.
 */
import type { Selectable } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import type { MediaRecord, NewLease } from '../record-types.ts'
import type { LeasesTable } from '../schema.ts'

type LeaseRow = Selectable<LeasesTable>
type Counted = Pick<LeaseRow, 'media_id' | 'counter_id' | 'above_id'>

/** Most counts below each other: bounds the cost of a download. */
const MAX_COUNTS = 8

/** The counts that a download of this lease takes from, the nearest first. */
export async function countsOf(db: Db, { media_id, counter_id, above_id }: Counted): Promise<readonly string[]> {
  if (counter_id === null) return []
  const counts = [counter_id]
  let next = counter_id === media_id ? above_id : await aboveOf(db, counter_id)
  while (next !== null) {
    counts.push(next)
    next = await aboveOf(db, next)
  }
  return counts
}

async function aboveOf(db: Db, counterId: string): Promise<string | null> {
  const row = await db.selectFrom('leases').select('above_id').where('media_id', '=', counterId).executeTakeFirst()
  return row?.above_id ?? null
}

/** Downloads that may still begin by this lease. */
export async function downloadsLeft(db: Db, lease: Counted): Promise<number> {
  const counts = await countsOf(db, lease)
  const rows = await db.selectFrom('leases').select('downloads_left').where('media_id', 'in', counts).execute()
  return Math.max(0, Math.min(...rows.map(row => row.downloads_left ?? 0)))
}

/** True when the lease is not counted, or its downloads take from its own count alone. */
export function hasOnlyOwnCount({ media_id, counter_id, above_id }: Counted): boolean {
  return counter_id === null || (counter_id === media_id && above_id === null)
}

type Terms = Pick<LeaseRow, 'expires_at' | 'max_downloads' | 'downloads_left' | 'counter_id' | 'above_id' | 'source_id'>

/**
 * Expiry and downloads of a forward of a counted lease: never more than is left of `source`. @throws invalid_request
 */
export async function termsOfForward(db: Db, source: MediaRecord, lease: NewLease): Promise<Terms | null> {
  if (source.maxDownloads === null) return null
  const row = await db
    .selectFrom('leases')
    .select(['media_id', 'counter_id', 'above_id'])
    .where('media_id', '=', source.mediaId)
    .executeTakeFirstOrThrow()
  const left = source.maxDownloads - source.downloadsUsed
  const shared = {
    expires_at: Math.min(lease.expiresAt, source.expiresAt),
    max_downloads: left,
    downloads_left: null,
    counter_id: row.counter_id,
    above_id: null,
    source_id: source.mediaId,
  }
  const { maxDownloads } = lease
  if (maxDownloads === null || maxDownloads >= left) return shared
  if ((await countsOf(db, row)).length >= MAX_COUNTS) throw tooManyCounts()
  return {
    ...shared,
    max_downloads: maxDownloads,
    downloads_left: maxDownloads,
    counter_id: lease.mediaId,
    above_id: row.counter_id,
  }
}

function tooManyCounts(): SealiftError {
  return new SealiftError(
    'invalid_request',
    `This media item was forwarded with ever fewer downloads ${MAX_COUNTS} times: forward it without maxDownloads`,
  )
}

/** Leases that were forwarded from these and end with them; at most `atMost`, the nearest first. */
export async function forwardsOf(db: Db, mediaIds: readonly string[], atMost: number): Promise<readonly string[]> {
  const all: string[] = []
  let sources = mediaIds
  while (sources.length > 0 && all.length < atMost) {
    const rows = await db
      .selectFrom('leases')
      .select('media_id')
      .where('source_id', 'in', sources.slice(0, STEP))
      .where('ended_at', 'is', null)
      .limit(atMost - all.length)
      .execute()
    const forwards = rows.map(row => row.media_id)
    all.push(...forwards)
    sources = [...sources.slice(STEP), ...forwards]
  }
  return all
}

/** Most sources in one statement. */
const STEP = 500

/** Live forwards of ended leases expire now; the sweep ends them. */
export async function expireForwards(db: Db, mediaIds: readonly string[], now: number): Promise<void> {
  await db
    .updateTable('leases')
    .set({ expires_at: now })
    .where('source_id', 'in', mediaIds)
    .where('ended_at', 'is', null)
    .where('expires_at', '>', now)
    .execute()
}

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

/** The lease is not counted, has no downloads left, or takes from the counts of other leases too. */
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

/** Whether an earlier commit of this call succeeded ([Note: unknown commits] in transactions.ts). */
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

/** Ascending ([Note: row locks] in transactions.ts). */
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
  throw new SealiftError('gone', 'This media item has expired or was deleted')
}

export function exhausted(): SealiftError {
  return new SealiftError('downloads_exhausted', 'All downloads that its sender allowed have been used')
}
