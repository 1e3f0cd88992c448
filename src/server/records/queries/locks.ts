import { SqliteAdapter, sql } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './database.ts'
import type { UploadRecord } from '../record-store.ts'
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

/** Blobs named in one statement. */
const STEP = 500

/** Locks blobs' rows ([Note: row locks] in database.ts); everything about their uploads and leases hangs on them. */
export async function lockBlobs(db: Db, blobIds: readonly string[]): Promise<void> {
  for (const step of stepsOf(blobIds)) await selectToLock(db, step).execute()
}

/** The same for blobs that may be kept, by forwards that never cease ([Note: turnstile]). The caller has locked no other. */
export async function lockKeptBlobs(db: Db, blobIds: readonly string[]): Promise<void> {
  if (!hasTurnstiles(db)) return
  const kept = await lockFreeBlobs(db, blobIds)
  if (kept.length === 0) return
  await closeTurnstiles(db, kept)
  await lockBlobs(db, blobIds)
}

/** Locks all of them, or none. @returns those that others have */
async function lockFreeBlobs(db: Db, blobIds: readonly string[]): Promise<readonly string[]> {
  const isSeveral = blobIds.length > 1
  if (isSeveral) await sql`savepoint before_blobs`.execute(db)
  const kept = new Set(blobIds)
  for (const step of stepsOf(blobIds)) {
    for (const { blob_id } of await selectToLock(db, step).skipLocked().execute()) kept.delete(blob_id)
  }
  if (isSeveral && kept.size > 0) await sql`rollback to savepoint before_blobs`.execute(db)
  return [...kept]
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

/** Many may keep a blob from being ended at once, as forwards of it do; whoever changes it waits for all of them. */
export async function keepBlob(db: Db, blobId: string): Promise<void> {
  await passTurnstile(db, blobId)
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
  if (upload.state === 'aborted') throw new SealiftError('gone', 'The upload was given up, expired or deleted')
}

/** @throws gone, upload_complete */
export function assertTakesParts(upload: UploadRecord): void {
  assertNotAborted(upload)
  if (upload.state !== 'uploading')
    throw new SealiftError('upload_complete', 'The upload is complete; it takes no part')
}

/**
 * [Note: turnstile] Many forwards may keep a blob at once, and PostgreSQL lets one more in for as long as any of them has
 * it: whoever wants it alone could wait for ever. So each forward passes a turnstile before the blob, beside others; who
 * finds a blob kept stands in the turnstile alone, and those who come later queue up behind. It is free again with the
 * end of the transaction. Whoever waits at it holds no blob, lease or client ([Note: row locks] in database.ts).
 *
 * On SQLite changes run one after the other, and there is none.
 */

/** A number that means turnstiles of Sealift, to all that take such locks in this database. */
const TURNSTILES = 7_325_002

export function hasTurnstiles(db: Db): boolean {
  return !(db.getExecutor().adapter instanceof SqliteAdapter)
}

export async function passTurnstile(db: Db, blobId: string): Promise<void> {
  if (!hasTurnstiles(db)) return
  await sql`select pg_advisory_xact_lock_shared(${sql.lit(TURNSTILES)}, ${turnstileOf(blobId)}::int)`.execute(db)
}

/** Ascending, so that nobody waits in a circle. */
export async function closeTurnstiles(db: Db, blobIds: readonly string[]): Promise<void> {
  const turnstiles = [...new Set(blobIds.map(turnstileOf))].sort((left, right) => left - right)
  for (const turnstile of turnstiles) {
    await sql`select pg_advisory_xact_lock(${sql.lit(TURNSTILES)}, ${turnstile}::int)`.execute(db)
  }
}

/** Ids are random: a few dozen turnstiles for all blobs, so that many blobs need few. */
function turnstileOf(blobId: string): number {
  return blobId.charCodeAt(0)
}
