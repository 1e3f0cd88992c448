/**
 * Ends leases: deleted, expired, used up, or with their parcel. A client is no longer charged for a blob that it
 * holds no lease of; a blob without a lease becomes a tombstone; an upload without its lease is aborted.
 */
import type { Db } from './transactions.ts'
import { forwardsOf, expireForwards } from './download-counts.ts'
import { chargePresignedBlob, presignedBytes } from './presigned-charges.ts'
import { adjustUsage, lockUsage, NO_USAGE } from './quota-usage.ts'
import { lockBlobsExclusively } from './locks.ts'
import type { ClientId, Usage } from '../record-types.ts'
import { dropParts } from './upload-parts.ts'

/** Most rows in one statement. */
const STEP = 500
/** Most forwards that end in the transaction of their source; the sweep ends the rest. */
const MAX_FORWARDS = 10_000

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

/** How much the usage of each client decreases. */
export type Freed = Map<ClientId, Usage>

/** Which of these leases, now locked, still have to end. */
export type StillDue = (mediaIds: readonly string[]) => Promise<ReadonlySet<string>>

/**
 * Ends those of `mediaIds` that are alive and, if `stillDue` is given, still due once their blobs are locked; and the
 * forwards of counted ones. Call it once per transaction, with everything else that it frees: all blobs are locked
 * before all clients ([Note: row locks] in transactions.ts).
 * @returns how many of `mediaIds` ended
 */
export async function endLeases(
  db: Db,
  mediaIds: readonly string[],
  now: number,
  { stillDue, freed = new Map() }: { readonly stillDue?: StillDue; readonly freed?: Freed } = {},
): Promise<number> {
  const seen = await inSteps(mediaIds, step => liveLeases(db, step))
  await lockBlobsExclusively(
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
    // A client whose usage was 0 may have been purged; locking it inserts its row again.
    if (usage.storedBytes > 0) await lockUsage(db, clientId)
    await adjustUsage(db, clientId, usage)
  }
  return ended.length
}

/** Forwards have the same blobs, which are locked: no other blob needs a lock, and no new forward can appear. */
async function endForwards(db: Db, ended: readonly LiveLease[], now: number, freed: Freed): Promise<void> {
  const sources = ended.filter(lease => lease.counter_id !== null).map(lease => lease.media_id)
  if (sources.length === 0) return
  const forwards = await forwardsOf(db, sources, MAX_FORWARDS)
  await inSteps(forwards, step => endStep(db, step, now, freed))
  if (forwards.length < MAX_FORWARDS) return
  await inSteps([...sources, ...forwards], async step => {
    await expireForwards(db, step, now)
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

/** Ascending: a download that takes from several counts locks all of them ([Note: row locks] in transactions.ts). */
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
  const holdings = await remainingHolders(
    db,
    ended.map(lease => lease.media_id),
  )
  for (const { blob_id, client_id, by_client } of holdings) {
    if (!by_client) free(freed, client_id, { ...NO_USAGE, storedBytes: sizes.get(blob_id) ?? 0 })
  }
  const unheld = new Set(holdings.filter(holding => !holding.by_any_client).map(holding => holding.blob_id))
  const gone = new Map(ended.filter(lease => unheld.has(lease.blob_id)).map(lease => [lease.blob_id, lease]))
  await tombstone(db, [...gone.keys()], now)
  for (const { blob_id, size_bytes, addresses_until } of gone.values()) {
    const bytes = presignedBytes(now, addresses_until, size_bytes ?? 0)
    const clientId = bytes > 0 ? await chargePresignedBlob(db, blob_id, bytes) : null
    if (clientId !== null) free(freed, clientId, { ...NO_USAGE, storedBytes: -bytes })
  }
}

/**
 * For each client and blob of ended leases: whether other leases of that blob are alive. One index lookup each, since a
 * blob may have a million leases.
 */
function remainingHolders(db: Db, mediaIds: readonly string[]) {
  return db
    .selectFrom('leases as ended')
    .select(eb => {
      const alive = eb
        .selectFrom('leases as other')
        .select('other.media_id')
        .whereRef('other.blob_id', '=', 'ended.blob_id')
        .where('other.ended_at', 'is', null)
      const ofClient = alive.whereRef('other.client_id', '=', 'ended.client_id')
      return [
        'ended.blob_id',
        'ended.client_id',
        eb.exists(alive).as('by_any_client'),
        eb.exists(ofClient).as('by_client'),
      ]
    })
    .distinct()
    .where('ended.media_id', 'in', mediaIds)
    .execute()
}

export function free(freed: Freed, clientId: ClientId, less: Usage): void {
  const before = freed.get(clientId) ?? NO_USAGE
  freed.set(clientId, {
    storedBytes: before.storedBytes - less.storedBytes,
    storedRows: before.storedRows - less.storedRows,
    reservedBytes: before.reservedBytes - less.reservedBytes,
    pendingUploads: before.pendingUploads - less.pendingUploads,
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
 * Aborts the unfinished upload of a blob whose row is locked: its bytes will be deleted, and only what presigned URLs
 * may still bring stays charged.
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
  const laterBytes = presignedBytes(now, addresses_until, upload.reserved_bytes)
  const { client_id, reserved_bytes: reservedBytes } = upload
  free(freed, client_id, { storedBytes: -laterBytes, storedRows, reservedBytes, pendingUploads: 1 })
  await db
    .updateTable('uploads')
    .set({ reserved_bytes: laterBytes, finished_at: now })
    .where('upload_id', '=', upload.upload_id)
    .execute()
}
