import { SqliteAdapter, sql } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import type { UploadRecord } from '../record-types.ts'
import { selectUpload, toUpload } from './rows.ts'

/** An upload with its blob's row locked, whatever its state. */
export interface LockedUpload extends UploadRecord {
  readonly reservedBytes: number
  /** Durable parts from the start without a gap, and their bytes. */
  readonly prefixParts: number
  readonly prefixBytes: number
  /** One past the highest durable part. */
  readonly endParts: number
  readonly shortPart: number | null
}

/** Most blobs in one statement. */
const STEP = 500

/** Locks blobs' rows ([Note: row locks] in transactions.ts), which guard their uploads and leases. */
export async function lockBlobs(db: Db, blobIds: readonly string[]): Promise<void> {
  for (const step of stepsOf(blobIds)) await selectToLock(db, step).execute()
}

/**
 * The same for blobs that concurrent forwards may lock ([Note: forward advisory lock]). The caller holds no other
 * blob.
 */
export async function lockBlobsExclusively(db: Db, blobIds: readonly string[]): Promise<void> {
  if (!hasRowLocks(db)) return
  const locked = await lockFreeBlobs(db, blobIds)
  if (locked.length === 0) return
  await lockForwardsOut(db, locked)
  await lockBlobs(db, blobIds)
}

/** Locks all of them, or none. @returns blobs that other transactions have locked */
async function lockFreeBlobs(db: Db, blobIds: readonly string[]): Promise<readonly string[]> {
  const isSeveral = blobIds.length > 1
  if (isSeveral) await sql`savepoint before_blobs`.execute(db)
  const locked = new Set(blobIds)
  for (const step of stepsOf(blobIds)) {
    for (const { blob_id } of await selectToLock(db, step).skipLocked().execute()) locked.delete(blob_id)
  }
  if (isSeveral && locked.size > 0) await sql`rollback to savepoint before_blobs`.execute(db)
  return [...locked]
}

function selectToLock(db: Db, blobIds: readonly string[]) {
  return db.selectFrom('blobs').select('blob_id').where('blob_id', 'in', blobIds).orderBy('blob_id').forUpdate()
}

/** Ascending. */
function stepsOf(blobIds: readonly string[]): readonly (readonly string[])[] {
  const ascending = [...new Set(blobIds)].sort()
  return Array.from({ length: Math.ceil(ascending.length / STEP) }, (_, index) =>
    ascending.slice(index * STEP, (index + 1) * STEP),
  )
}

/** A shared lock on a blob: forwards of it run concurrently, and a change of the blob waits for all of them. */
export async function lockForForward(db: Db, blobId: string): Promise<void> {
  await lockForwardShared(db, blobId)
  await db.selectFrom('blobs').select('blob_id').where('blob_id', '=', blobId).forShare().execute()
}

/** @throws not_found */
export async function lockUpload(db: Db, uploadId: string): Promise<LockedUpload> {
  const known = await db.selectFrom('uploads').select('blob_id').where('upload_id', '=', uploadId).executeTakeFirst()
  if (known) await lockBlobs(db, [known.blob_id])
  const row = await selectWithPrefix(db, uploadId).executeTakeFirst()
  if (!row) throw new SealiftError('not_found', 'There is no such upload')
  return {
    ...toUpload(row),
    reservedBytes: row.reserved_bytes,
    prefixParts: row.prefix_parts,
    prefixBytes: row.prefix_bytes,
    endParts: row.end_parts,
    shortPart: row.short_part,
  }
}

function selectWithPrefix(db: Db, uploadId: string) {
  return selectUpload(db, uploadId).select(eb => {
    const blob = eb.selectFrom('blobs').whereRef('blobs.blob_id', '=', 'uploads.blob_id')
    return [
      blob.select('prefix_parts').$asScalar().$notNull().as('prefix_parts'),
      blob.select('prefix_bytes').$asScalar().$notNull().as('prefix_bytes'),
      blob.select('end_parts').$asScalar().$notNull().as('end_parts'),
      blob.select('short_part').$asScalar().as('short_part'),
    ]
  })
}

/** @throws gone */
export function assertNotAborted(upload: UploadRecord): void {
  if (upload.state === 'aborted') throw new SealiftError('gone', 'The upload was aborted, expired or deleted')
}

/** @throws gone, upload_complete */
export function assertTakesParts(upload: UploadRecord): void {
  assertNotAborted(upload)
  if (upload.state !== 'uploading')
    throw new SealiftError('upload_complete', 'The upload is complete; it accepts no more parts')
}

// [Note: forward advisory lock] Many forwards may hold the shared lock of a blob's row, and PostgreSQL admits further
// ones while any of them holds it: a transaction that needs the row exclusively could wait for ever. So each forward
// first takes an advisory lock, shared. A transaction that finds the row locked takes the advisory lock exclusively;
// later forwards queue behind it. The lock ends with its transaction. A transaction that waits for it holds no blob,
// lease or client ([Note: row locks] in transactions.ts).
//
// On SQLite changes run one after the other, without any lock.

/** The class of these advisory locks in the database. */
const FORWARD_LOCKS = 7_325_002

function hasRowLocks(db: Db): boolean {
  return !(db.getExecutor().adapter instanceof SqliteAdapter)
}

async function lockForwardShared(db: Db, blobId: string): Promise<void> {
  if (!hasRowLocks(db)) return
  await sql`select pg_advisory_xact_lock_shared(${sql.lit(FORWARD_LOCKS)}, ${forwardLockKey(blobId)}::int)`.execute(db)
}

/** Ascending, which excludes deadlocks. */
async function lockForwardsOut(db: Db, blobIds: readonly string[]): Promise<void> {
  const keys = [...new Set(blobIds.map(forwardLockKey))].sort((left, right) => left - right)
  for (const key of keys) {
    await sql`select pg_advisory_xact_lock(${sql.lit(FORWARD_LOCKS)}, ${key}::int)`.execute(db)
  }
}

/** Ids are random: a few dozen locks for all blobs, so that many blobs need few. */
function forwardLockKey(blobId: string): number {
  return blobId.charCodeAt(0)
}
