/**
 * The one way by which leases end: deleted, expired, used up, or with their parcel. What a client no longer holds is no
 * longer charged; a blob that nobody holds becomes a tombstone; an upload that loses its lease is given up.
 */
import type { Db } from './database.ts'
import { forwardsOf, lapseForwards } from './download-counts.ts'
import { heldAfter, holdBlob } from './presigned-charges.ts'
import { adjustUsage, lockUsage, NO_USAGE } from './quota-usage.ts'
import { lockKeptBlobs } from './locks.ts'
import type { ClientId, Usage } from '../record-store.ts'
import { dropParts } from './upload-parts.ts'

/** Rows named in one statement; bounds its length. */
const STEP = 500
/** Forwards that end in the same transaction as what they were forwarded from; of more, the sweep ends the rest. */
const MOST_FORWARDS = 10_000

interface LiveLease {
  readonly media_id: string
  readonly blob_id: string
  readonly client_id: ClientId
  readonly state: string
  readonly size_bytes: number | null
  readonly addresses_until: number | null
  readonly declared_bytes: number | null
  readonly counter_id: string | null
}

/** What each client is charged less. */
export type Freed = Map<ClientId, Usage>

/** Whether a lease that is alive under the lock is still to end. */
export type StillDue = (mediaIds: readonly string[]) => Promise<ReadonlySet<string>>

/**
 * Ends those of `mediaIds` that are alive, and, when it is given, `stillDue` once their blobs are locked; and the forwards
 * of those that are counted. Call it once in a transaction, with all else that it frees: all blobs are locked first, then
 * all clients ([Note: row locks] in database.ts).
 * @returns how many of `mediaIds` were
 */
export async function endLeases(
  db: Db,
  mediaIds: readonly string[],
  now: number,
  { stillDue, freed = new Map() }: { readonly stillDue?: StillDue; readonly freed?: Freed } = {},
): Promise<number> {
  const seen = await inSteps(mediaIds, step => liveLeases(db, step))
  await lockKeptBlobs(
    db,
    seen.map(lease => lease.blob_id),
  )
  const candidates = seen.map(lease => lease.media_id)
  const due = stillDue ? await stillDue(candidates) : null
  const ended = await inSteps(due ? candidates.filter(each => due.has(each)) : candidates, step =>
    endStep(db, step, now, freed),
  )
  await endForwards(db, ended, now, freed)
  for (const [clientId, usage] of [...freed].sort(byClient)) {
    // Who is charged more may have been charged nothing, and be forgotten.
    if (usage.storedBytes > 0) await lockUsage(db, clientId)
    await adjustUsage(db, clientId, usage)
  }
  return ended.length
}

/** They hold the same blobs, so no other is to be locked; under that lock nobody forwards anew. */
async function endForwards(db: Db, ended: readonly LiveLease[], now: number, freed: Freed): Promise<void> {
  const sources = ended.filter(lease => lease.counter_id !== null).map(lease => lease.media_id)
  if (sources.length === 0) return
  const forwards = await forwardsOf(db, sources, MOST_FORWARDS)
  await inSteps(forwards, step => endStep(db, step, now, freed))
  if (forwards.length < MOST_FORWARDS) return
  await inSteps([...sources, ...forwards], async step => {
    await lapseForwards(db, step, now)
    return []
  })
}

async function inSteps<T>(
  ids: readonly string[],
  work: (step: readonly string[]) => Promise<readonly T[]>,
): Promise<readonly T[]> {
  const results: T[] = []
  for (let from = 0; from < ids.length; from += STEP) results.push(...(await work(ids.slice(from, from + STEP))))
  return results
}

async function endStep(db: Db, mediaIds: readonly string[], now: number, freed: Freed): Promise<readonly LiveLease[]> {
  const leases = await liveLeases(db, mediaIds)
  if (leases.length === 0) return leases
  await lockCounted(db, leases)
  await db
    .updateTable('leases')
    .set({ ended_at: now })
    .where(
      'media_id',
      'in',
      leases.map(lease => lease.media_id),
    )
    .execute()
  const complete = leases.filter(lease => lease.state === 'complete')
  await releaseComplete(db, complete, now, freed)
  for (const lease of leases) if (lease.state !== 'complete') await dropUpload(db, lease, now, freed)
  return leases
}

/** Ascending: a download that takes from several counts locks all of them ([Note: row locks] in database.ts). */
async function lockCounted(db: Db, leases: readonly LiveLease[]): Promise<void> {
  const counted = leases.filter(lease => lease.counter_id !== null).map(lease => lease.media_id)
  if (counted.length === 0) return
  await db
    .selectFrom('leases')
    .select('media_id')
    .where('media_id', 'in', counted)
    .orderBy('media_id')
    .forUpdate()
    .execute()
}

function liveLeases(db: Db, mediaIds: readonly string[]): Promise<readonly LiveLease[]> {
  return db
    .selectFrom('leases')
    .innerJoin('blobs', 'blobs.blob_id', 'leases.blob_id')
    .select(['leases.media_id', 'leases.blob_id', 'leases.client_id', 'blobs.state', 'blobs.size_bytes'])
    .select(['blobs.addresses_until', 'blobs.declared_bytes', 'leases.counter_id'])
    .where('leases.media_id', 'in', mediaIds)
    .where('leases.ended_at', 'is', null)
    .execute()
}

async function releaseComplete(db: Db, ended: readonly LiveLease[], now: number, freed: Freed): Promise<void> {
  if (ended.length === 0) return
  const sizes = new Map(ended.map(lease => [lease.blob_id, lease.size_bytes ?? 0]))
  const holdings = await whatIsStillHeld(
    db,
    ended.map(lease => lease.media_id),
  )
  for (const { blob_id, client_id, by_client } of holdings) {
    if (!by_client) free(freed, client_id, { ...NO_USAGE, storedBytes: sizes.get(blob_id) ?? 0 })
  }
  const unheld = new Set(holdings.filter(holding => !holding.by_anyone).map(holding => holding.blob_id))
  const gone = new Map(ended.filter(lease => unheld.has(lease.blob_id)).map(lease => [lease.blob_id, lease]))
  await tombstone(db, [...gone.keys()], now)
  for (const { blob_id, size_bytes, addresses_until } of gone.values()) {
    const bytes = heldAfter(now, addresses_until, size_bytes ?? 0)
    const clientId = bytes > 0 ? await holdBlob(db, blob_id, bytes) : null
    if (clientId !== null) free(freed, clientId, { ...NO_USAGE, storedBytes: -bytes })
  }
}

/**
 * For each client and blob of ended leases, once: whether other leases of that blob are alive. Each is one look into an
 * index: a blob may have a million of them.
 */
function whatIsStillHeld(db: Db, mediaIds: readonly string[]) {
  return db
    .selectFrom('leases as over')
    .select(eb => {
      const alive = eb
        .selectFrom('leases as other')
        .select('other.media_id')
        .whereRef('other.blob_id', '=', 'over.blob_id')
        .where('other.ended_at', 'is', null)
      const ofClient = alive.whereRef('other.client_id', '=', 'over.client_id')
      return ['over.blob_id', 'over.client_id', eb.exists(alive).as('by_anyone'), eb.exists(ofClient).as('by_client')]
    })
    .distinct()
    .where('over.media_id', 'in', mediaIds)
    .execute()
}

export function free(freed: Freed, clientId: ClientId, less: Usage): void {
  const so = freed.get(clientId) ?? NO_USAGE
  freed.set(clientId, {
    storedBytes: so.storedBytes - less.storedBytes,
    storedRows: so.storedRows - less.storedRows,
    reservedBytes: so.reservedBytes - less.reservedBytes,
    pendingUploads: so.pendingUploads - less.pendingUploads,
  })
}

function byClient([left]: [string, Usage], [right]: [string, Usage]): number {
  return left < right ? -1 : 1
}

async function tombstone(db: Db, blobIds: readonly string[], now: number): Promise<void> {
  if (blobIds.length === 0) return
  await db
    .updateTable('blobs')
    .set({ deleted_at: now })
    .where('blob_id', 'in', blobIds)
    .where('deleted_at', 'is', null)
    .execute()
}

/**
 * Gives up the unfinished upload of a blob whose row is locked: its bytes are to go, and nothing of it stays charged but
 * what addresses may still bring.
 */
async function dropUpload(
  db: Db,
  { blob_id: blobId, addresses_until, declared_bytes }: LiveLease,
  now: number,
  freed: Freed,
): Promise<void> {
  await tombstone(db, [blobId], now)
  const storedRows = await dropParts(db, blobId, declared_bytes)
  const upload = await db
    .selectFrom('uploads')
    .select(['upload_id', 'client_id', 'reserved_bytes'])
    .where('blob_id', '=', blobId)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  if (!upload) return
  const heldBytes = heldAfter(now, addresses_until, upload.reserved_bytes)
  const { client_id, reserved_bytes: reservedBytes } = upload
  free(freed, client_id, { storedBytes: -heldBytes, storedRows, reservedBytes, pendingUploads: 1 })
  await db
    .updateTable('uploads')
    .set({ reserved_bytes: heldBytes, finished_at: now })
    .where('upload_id', '=', upload.upload_id)
    .execute()
}
