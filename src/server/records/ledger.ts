/**
 * What clients are charged. Every rule of quota is here: checked and changed under the lock of the client's own row, so
 * that neither a byte nor an upload too many ever gets through.
 */
import { SealiftError } from '../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { ClientId, QuotaCaps, Usage } from './record-store.ts'

export const NO_USAGE: Usage = { storedBytes: 0, reservedBytes: 0, pendingUploads: 0 }

/** The client's usage, locked until the transaction ends ([Note: row locks] in database.ts). */
export async function lockUsage(db: Db, clientId: ClientId): Promise<Usage> {
  const known = await db
    .selectFrom('client_usage')
    .selectAll()
    .where('client_id', '=', clientId)
    .forUpdate()
    .executeTakeFirst()
  const row = known ?? (await insertUsage(db, clientId))
  return { storedBytes: row.stored_bytes, reservedBytes: row.reserved_bytes, pendingUploads: row.pending_uploads }
}

/** A client seen for the first time; another transaction may just have inserted it as well. */
function insertUsage(db: Db, clientId: ClientId) {
  return db
    .insertInto('client_usage')
    .values({ client_id: clientId, stored_bytes: 0, reserved_bytes: 0, pending_uploads: 0, idle: 1 })
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
      const reserved = eb('reserved_bytes', '+', change.reservedBytes ?? 0)
      const pending = eb('pending_uploads', '+', change.pendingUploads ?? 0)
      const nothing = eb.and([eb(stored, '=', 0), eb(reserved, '=', 0), eb(pending, '=', 0)])
      return {
        stored_bytes: stored,
        reserved_bytes: reserved,
        pending_uploads: pending,
        idle: eb.case().when(nothing).then(1).else(0).end(),
      }
    })
    .where('client_id', '=', clientId)
    .execute()
}

/** Reserves for a new upload. @throws too_many_pending, quota_exceeded */
export async function reserveUpload(db: Db, clientId: ClientId, bytes: number, caps: QuotaCaps): Promise<void> {
  const usage = await lockUsage(db, clientId)
  if (usage.pendingUploads + 1 > caps.pendingUploads) {
    throw refusal('too_many_pending', 'pendingUploads', caps.pendingUploads, usage.pendingUploads)
  }
  checkReservation(usage, bytes, caps)
  await adjustUsage(db, clientId, { reservedBytes: bytes, pendingUploads: 1 })
}

/** Reserves more (or less) for an upload in progress. @throws too_many_pending, quota_exceeded */
export async function reserveMore(db: Db, clientId: ClientId, bytes: number, caps: QuotaCaps): Promise<void> {
  if (bytes === 0) return
  const usage = await lockUsage(db, clientId)
  if (bytes > 0) checkReservation(usage, bytes, caps)
  await adjustUsage(db, clientId, { reservedBytes: bytes })
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

/** @throws too_large */
export function checkMediaSize(sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return
  throw new SealiftError('too_large', `A media of this kind may hold at most ${maxBytes} bytes`, {
    context: { limit: 'maxBytes', value: maxBytes },
  })
}

/**
 * Whether an upload could ever hold byte `endBytes`: complete, it holds all bytes before it too. A store that writes in
 * place makes a file of that length for a single part, however few bytes are reserved. @throws too_large
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
  storedBytes: 'The storage quota is used up: delete something, or wait until it expires',
  pendingBytes: 'Unfinished uploads hold all the bytes they may: complete or give up some first',
  pendingUploads: 'There are too many unfinished uploads: complete or give up some first',
} as const

function refusal(
  code: 'quota_exceeded' | 'too_many_pending',
  limit: keyof typeof REFUSALS,
  value: number,
  used: number,
): SealiftError {
  return new SealiftError(code, REFUSALS[limit], { context: { limit, value, remaining: Math.max(0, value - used) } })
}
