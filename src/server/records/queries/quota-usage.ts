/**
 * The quota usage of clients. All quota rules are here: checked and changed under the lock of the client's row, so that
 * concurrent requests cannot exceed a limit.
 */
import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import type { ClientId, QuotaCaps, StorageCaps, Usage } from '../record-types.ts'

export const NO_USAGE: Usage = { storedBytes: 0, storedRows: 0, reservedBytes: 0, pendingUploads: 0 }

/** A row of `client_usage`. */
export interface UsageRow {
  stored_bytes: number
  stored_rows: number
  reserved_bytes: number
  pending_uploads: number
}

export function toUsage(row: UsageRow): Usage {
  return {
    storedBytes: row.stored_bytes,
    storedRows: row.stored_rows,
    reservedBytes: row.reserved_bytes,
    pendingUploads: row.pending_uploads,
  }
}

/** The client's usage, locked until the transaction ends ([Note: row locks] in transactions.ts). */
export async function lockUsage(db: Db, clientId: ClientId): Promise<Usage> {
  const known = await db
    .selectFrom('client_usage')
    .selectAll()
    .where('client_id', '=', clientId)
    .forUpdate()
    .executeTakeFirst()
  const row = known ?? (await insertUsage(db, clientId))
  return toUsage(row)
}

/** A new client; another transaction may insert the same row concurrently. */
function insertUsage(db: Db, clientId: ClientId) {
  return db
    .insertInto('client_usage')
    .values({ client_id: clientId, stored_bytes: 0, stored_rows: 0, reserved_bytes: 0, pending_uploads: 0, idle: 1 })
    .onConflict(conflict => conflict.column('client_id').doUpdateSet({ client_id: clientId }))
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** Adds `change` (which may be negative) to what a client is charged. */
export async function adjustUsage(db: Db, clientId: ClientId, change: Partial<Usage>): Promise<void> {
  await db
    .updateTable('client_usage')
    .set(eb => {
      const stored = eb('stored_bytes', '+', change.storedBytes ?? 0)
      const rows = eb('stored_rows', '+', change.storedRows ?? 0)
      const reserved = eb('reserved_bytes', '+', change.reservedBytes ?? 0)
      const pending = eb('pending_uploads', '+', change.pendingUploads ?? 0)
      const isIdle = eb.and([eb(stored, '=', 0), eb(rows, '=', 0), eb(reserved, '=', 0), eb(pending, '=', 0)])
      return {
        stored_bytes: stored,
        stored_rows: rows,
        reserved_bytes: reserved,
        pending_uploads: pending,
        idle: eb.case().when(isIdle).then(1).else(0).end(),
      }
    })
    .where('client_id', '=', clientId)
    .execute()
}

/** What a new record adds to the usage of its client. */
export interface AddedUsage {
  readonly bytes: number
  readonly rows: number
}

/** Reserves for a new upload. @throws too_many_pending, quota_exceeded */
export async function reserveUpload(
  db: Db,
  clientId: ClientId,
  { bytes, rows }: AddedUsage,
  caps: QuotaCaps,
): Promise<void> {
  const usage = await lockUsage(db, clientId)
  if (usage.pendingUploads + 1 > caps.pendingUploads) {
    throw refusal('too_many_pending', 'pendingUploads', caps.pendingUploads, usage.pendingUploads)
  }
  checkReservation(usage, bytes, caps)
  checkRows(usage, rows, caps)
  await adjustUsage(db, clientId, { reservedBytes: bytes, storedRows: rows, pendingUploads: 1 })
}

/** Reserves more (or less) for an upload in progress. @throws too_many_pending, quota_exceeded */
export async function reserveMore(
  db: Db,
  clientId: ClientId,
  { bytes, rows }: AddedUsage,
  caps: QuotaCaps,
): Promise<void> {
  if (bytes === 0 && rows === 0) return
  const usage = await lockUsage(db, clientId)
  if (bytes > 0) checkReservation(usage, bytes, caps)
  checkRows(usage, rows, caps)
  await adjustUsage(db, clientId, { reservedBytes: bytes, storedRows: rows })
}

function checkReservation(usage: Usage, bytes: number, caps: Pick<QuotaCaps, 'storedBytes' | 'pendingBytes'>): void {
  if (usage.reservedBytes + bytes > caps.pendingBytes) {
    throw refusal('too_many_pending', 'pendingBytes', caps.pendingBytes, usage.reservedBytes)
  }
  checkStored(usage, bytes, caps)
}

/** @throws quota_exceeded when `bytes` more do not fit */
export function checkStored(usage: Usage, bytes: number, { storedBytes }: Pick<QuotaCaps, 'storedBytes'>): void {
  const used = usage.storedBytes + usage.reservedBytes
  if (used + bytes > storedBytes) throw refusal('quota_exceeded', 'storedBytes', storedBytes, used)
}

/**
 * Charges stored bytes and rows under the lock of the client; a decrease is never refused. Last in a transaction, since
 * other changes of this client wait from here until the commit. @throws quota_exceeded
 */
export async function chargeStored(
  db: Db,
  clientId: ClientId,
  { bytes, rows }: AddedUsage,
  caps: StorageCaps,
): Promise<void> {
  if (bytes === 0 && rows === 0) return
  const usage = await lockUsage(db, clientId)
  if (bytes > 0) checkStored(usage, bytes, caps)
  checkRows(usage, rows, caps)
  await adjustUsage(db, clientId, { storedBytes: bytes, storedRows: rows })
}

/** @throws quota_exceeded when `rows` more do not fit */
export function checkRows({ storedRows: used }: Usage, rows: number, { storedRows }: StorageRowCap): void {
  if (rows > 0 && used + rows > storedRows) throw refusal('quota_exceeded', 'storedRows', storedRows, used)
}

type StorageRowCap = Pick<QuotaCaps, 'storedRows'>

/**
 * [Note: stored rows] Records that are small in bytes still take rows. A client is charged for each row that it creates
 * until the row is purged: one per lease, and one per download that the lease counts itself (its grant); one per
 * parcel, and per media item that it covers; one per idempotency key; one per part of an unfinished upload of unknown
 * size. Rows of uploads and blobs are bounded by their lease, rows of parts of a declared size by the bytes that they
 * reserve.
 */
export function rowsOfLease(countedDownloads: number | null): number {
  return 1 + (countedDownloads ?? 0)
}

/** @throws too_large */
export function checkMediaSize(sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return
  throw new SealiftError('too_large', `A media item of this kind may have at most ${maxBytes} bytes`, {
    context: { limit: 'maxBytes', value: maxBytes },
  })
}

/**
 * Whether an upload could ever reach `endBytes`: a complete one contains all bytes before it too. A store that writes
 * in place creates a file of that length for a single part, however few bytes are reserved. @throws too_large
 */
export function checkReach(endBytes: number, caps: QuotaCaps): void {
  for (const limit of ['maxBytes', 'pendingBytes', 'storedBytes'] as const) {
    const value = caps[limit]
    if (endBytes <= value) continue
    throw new SealiftError('too_large', `This part would end at byte ${endBytes}; ${limit} allows ${value} bytes`, {
      context: { limit, value },
    })
  }
}

const REFUSALS = {
  storedRows:
    'The limit on records of this client is reached: delete something, or wait until ended records are purged',
  storedBytes: 'The storage quota is used up: delete something, or wait until it expires',
  pendingBytes: 'Unfinished uploads use all the bytes they may: complete or abort some first',
  pendingUploads: 'There are too many unfinished uploads: complete or abort some first',
} as const

function refusal(
  code: 'quota_exceeded' | 'too_many_pending',
  limit: keyof typeof REFUSALS,
  value: number,
  used: number,
): SealiftError {
  return new SealiftError(code, REFUSALS[limit], { context: { limit, value, remaining: Math.max(0, value - used) } })
}
