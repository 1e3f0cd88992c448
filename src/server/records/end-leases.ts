/**
 * The one way by which leases end: deleted, expired, used up, or with their parcel. What a client no longer holds is no
 * longer charged; a blob that nobody holds becomes a tombstone; an upload that loses its lease is given up.
 */
import type { Db } from './database.ts'
import { adjustUsage, lockUsage } from './ledger.ts'
import { lockBlobs } from './open-upload.ts'
import type { ClientId } from './record-store.ts'

/** Leases ended in one step; bounds the length of a statement. */
const STEP = 500

interface LiveLease {
  readonly media_id: string
  readonly blob_id: string
  readonly client_id: ClientId
  readonly state: string
  readonly size_bytes: number | null
}

/** Ends those of `mediaIds` that are alive. @returns how many were */
export async function endLeases(db: Db, mediaIds: readonly string[], now: number): Promise<number> {
  let ended = 0
  for (let from = 0; from < mediaIds.length; from += STEP) {
    ended += await endStep(db, mediaIds.slice(from, from + STEP), now)
  }
  return ended
}

async function endStep(db: Db, mediaIds: readonly string[], now: number): Promise<number> {
  const seen = await liveLeases(db, mediaIds)
  await lockBlobs(
    db,
    seen.map(lease => lease.blob_id),
  )
  const leases = await liveLeases(db, mediaIds)
  if (leases.length === 0) return 0
  await db
    .updateTable('leases')
    .set({ ended_at: now })
    .where(
      'media_id',
      'in',
      leases.map(lease => lease.media_id),
    )
    .execute()
  await releaseComplete(
    db,
    leases.filter(lease => lease.state === 'complete'),
    now,
  )
  for (const lease of leases) if (lease.state !== 'complete') await dropUpload(db, lease.blob_id, now)
  return leases.length
}

function liveLeases(db: Db, mediaIds: readonly string[]): Promise<readonly LiveLease[]> {
  return db
    .selectFrom('leases')
    .innerJoin('blobs', 'blobs.blob_id', 'leases.blob_id')
    .select(['leases.media_id', 'leases.blob_id', 'leases.client_id', 'blobs.state', 'blobs.size_bytes'])
    .where('leases.media_id', 'in', mediaIds)
    .where('leases.ended_at', 'is', null)
    .execute()
}

async function releaseComplete(db: Db, ended: readonly LiveLease[], now: number): Promise<void> {
  if (ended.length === 0) return
  const holders = await remainingHolders(
    db,
    ended.map(lease => lease.blob_id),
  )
  const freed = new Map<ClientId, number>()
  const released = new Set<string>()
  for (const { blob_id, client_id, size_bytes } of ended) {
    const holding = `${blob_id} ${client_id}`
    if (released.has(holding) || holders.get(blob_id)?.has(client_id)) continue
    released.add(holding)
    freed.set(client_id, (freed.get(client_id) ?? 0) + (size_bytes ?? 0))
  }
  await tombstone(
    db,
    ended.map(lease => lease.blob_id).filter(blobId => !holders.has(blobId)),
    now,
  )
  await uncharge(db, freed)
}

/** Which clients still hold a live lease of each blob; a blob that nobody holds is not in the map. */
async function remainingHolders(db: Db, blobIds: readonly string[]): Promise<Map<string, Set<ClientId>>> {
  const rows = await db
    .selectFrom('leases')
    .select(['blob_id', 'client_id'])
    .distinct()
    .where('blob_id', 'in', blobIds)
    .where('ended_at', 'is', null)
    .execute()
  const holders = new Map<string, Set<ClientId>>()
  for (const { blob_id, client_id } of rows) {
    const clients = holders.get(blob_id) ?? new Set()
    holders.set(blob_id, clients.add(client_id))
  }
  return holders
}

async function uncharge(db: Db, freed: ReadonlyMap<ClientId, number>): Promise<void> {
  for (const [clientId, bytes] of [...freed].sort(byClient)) await adjustUsage(db, clientId, { storedBytes: -bytes })
}

function byClient([left]: [string, number], [right]: [string, number]): number {
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

/** Gives up the unfinished upload of a blob whose row is locked: nothing of it stays reserved, its bytes are to go. */
export async function dropUpload(db: Db, blobId: string, now: number): Promise<void> {
  await tombstone(db, [blobId], now)
  await db.deleteFrom('parts').where('blob_id', '=', blobId).execute()
  const upload = await db
    .selectFrom('uploads')
    .select(['upload_id', 'client_id', 'reserved_bytes'])
    .where('blob_id', '=', blobId)
    .where('finished_at', 'is', null)
    .executeTakeFirst()
  if (!upload) return
  await lockUsage(db, upload.client_id)
  await adjustUsage(db, upload.client_id, { reservedBytes: -upload.reserved_bytes, pendingUploads: -1 })
  await db
    .updateTable('uploads')
    .set({ reserved_bytes: 0, finished_at: now })
    .where('upload_id', '=', upload.upload_id)
    .execute()
}
