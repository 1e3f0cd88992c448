/**
 * [Note: counts] A counted lease has a count of downloads, and so has each forward of it that asked for fewer than were
 * left; all other forwards of it share the count of what they were forwarded from. A download takes one from the nearest
 * count and from every count above it, so that what is forwarded, however often, never gives more than its source. The
 * grant is kept with each of these counts. Links between leases never change.
 */
import type { Selectable } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { MediaRecord, NewLease } from '../record-store.ts'
import type { LeasesTable } from '../schema.ts'

type LeaseRow = Selectable<LeasesTable>
type Counted = Pick<LeaseRow, 'media_id' | 'counter_id' | 'above_id'>

/** Counts below each other that one download may draw on: bounds what it costs. */
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

/** Whether its own columns tell what is left of it: it is the only count that its downloads take from, or has none. */
export function isOwnCount({ media_id, counter_id, above_id }: Counted): boolean {
  return counter_id === null || (counter_id === media_id && above_id === null)
}

type Terms = Pick<LeaseRow, 'expires_at' | 'max_downloads' | 'downloads_left' | 'counter_id' | 'above_id' | 'source_id'>

/** What a forward of a counted lease may have: never more than is left of `source`. @throws invalid_request */
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
    `This media was forwarded with ever fewer downloads ${MAX_COUNTS} times: forward it without maxDownloads`,
  )
}

/** Every lease that ends with these, since it was forwarded from one of them; `atMost` of them, the nearest first. */
export async function forwardsOf(db: Db, mediaIds: readonly string[], atMost: number): Promise<readonly string[]> {
  const found: string[] = []
  let sources = mediaIds
  while (sources.length > 0 && found.length < atMost) {
    const rows = await db
      .selectFrom('leases')
      .select('media_id')
      .where('source_id', 'in', sources.slice(0, STEP))
      .where('ended_at', 'is', null)
      .limit(atMost - found.length)
      .execute()
    const forwards = rows.map(row => row.media_id)
    found.push(...forwards)
    sources = [...sources.slice(STEP), ...forwards]
  }
  return found
}

/** Forwards named in one statement. */
const STEP = 500

/** Lets live forwards of ended leases lapse now: they give nothing any more, and the sweep ends them. */
export async function lapseForwards(db: Db, mediaIds: readonly string[], now: number): Promise<void> {
  await db
    .updateTable('leases')
    .set({ expires_at: now })
    .where('source_id', 'in', mediaIds)
    .where('ended_at', 'is', null)
    .where('expires_at', '>', now)
    .execute()
}
