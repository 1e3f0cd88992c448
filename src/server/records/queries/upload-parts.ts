/** The size that a part may have, and what it reserves. */
import { SealiftError } from '../../../protocol/errors.ts'
import type { Db } from './transactions.ts'
import { adjustUsage, checkMediaSize, checkReach, reserveMore } from './quota-usage.ts'
import { assertTakesParts, type LockedUpload, lockUpload } from './locks.ts'
import type { PartRecord, QuotaCaps, SizedPart, UploadRecord } from '../record-types.ts'
import { toPart } from './rows.ts'

/** Parts read in one query when the durable prefix advances. */
const PREFIX_STEP = 64

/**
 * `reservePart` for an upload of declared size: reserves nothing, only checks. @throws gone, upload_complete,
 * size_mismatch
 */
export async function checkDeclaredPart(db: Db, upload: UploadRecord, part: SizedPart): Promise<PartRecord | null> {
  assertTakesParts(upload)
  const existing = await findPart(db, upload.blobId, part.index)
  if (existing?.durable) return existing
  checkDeclaredSize(upload, part)
  return null
}

export async function reservePart(
  db: Db,
  uploadId: string,
  part: SizedPart,
  caps: QuotaCaps,
): Promise<PartRecord | null> {
  const upload = await lockUpload(db, uploadId)
  if (upload.declaredBytes !== null) return checkDeclaredPart(db, upload, part)
  assertTakesParts(upload)
  const existing = await findPart(db, upload.blobId, part.index)
  if (existing?.durable) return existing
  checkUndeclaredSize(upload, part)
  const reservedBytes = existing?.sizeBytes ?? 0
  const sizeBytes = mayShrink(upload) ? part.sizeBytes : Math.max(part.sizeBytes, reservedBytes)
  const moreBytes = sizeBytes - reservedBytes
  checkMediaSize(upload.reservedBytes + moreBytes, upload.maxBytes)
  await reserveMore(db, upload.clientId, { bytes: moreBytes, rows: existing ? 0 : 1 }, caps)
  checkReach(part.index * upload.partBytes + part.sizeBytes, { ...caps, maxBytes: upload.maxBytes })
  await changeReserved(db, upload, moreBytes)
  await writePart(db, upload.blobId, { index: part.index, sizeBytes, durable: false })
  return null
}

/** An older presigned URL may be for more bytes than the part that is reserved or stored now. */
const mayShrink = ({ presignedUntil }: UploadRecord): boolean => presignedUntil === null

export async function reservePresignedPart(
  db: Db,
  uploadId: string,
  { until, ...part }: SizedPart & { readonly until: number },
  caps: QuotaCaps,
): Promise<PartRecord | null> {
  const durable = await reservePart(db, uploadId, part, caps)
  if (durable) return durable
  await db
    .updateTable('blobs')
    .set({ addresses_until: until })
    .where('blob_id', '=', blobOf(db, uploadId))
    .where(eb => eb.or([eb('addresses_until', 'is', null), eb('addresses_until', '<', until)]))
    .execute()
  return null
}

function blobOf(db: Db, uploadId: string) {
  return db.selectFrom('uploads').select('blob_id').where('upload_id', '=', uploadId)
}

export async function recordPart(db: Db, uploadId: string, part: SizedPart, expiresAt: number): Promise<void> {
  const upload = await lockUpload(db, uploadId)
  assertTakesParts(upload)
  const existing = await findPart(db, upload.blobId, part.index)
  if (existing?.durable) assertSame(existing, part)
  else await makeDurable(db, upload, part, existing)
  await db.updateTable('uploads').set({ expires_at: expiresAt }).where('upload_id', '=', uploadId).execute()
}

function assertSame(durable: PartRecord, { index, sizeBytes }: SizedPart): void {
  if (durable.sizeBytes === sizeBytes) return
  throw new SealiftError('part_conflict', `Part ${index} is stored with another size; a stored part never changes`)
}

async function makeDurable(db: Db, upload: LockedUpload, part: SizedPart, reserved: PartRecord | null): Promise<void> {
  if (upload.declaredBytes === null) {
    checkUndeclaredSize(upload, part)
    await settleReservation(db, upload, part, reserved)
  } else {
    checkDeclaredSize(upload, part)
  }
  await writePart(db, upload.blobId, { ...part, durable: true })
  await noteDurable(db, upload, part)
}

/** A part may be smaller than its reservation, never larger: the extra bytes would be stored without a quota check. */
async function settleReservation(
  db: Db,
  upload: LockedUpload,
  part: SizedPart,
  reserved: PartRecord | null,
): Promise<void> {
  const unusedBytes = (reserved?.sizeBytes ?? 0) - part.sizeBytes
  if (unusedBytes < 0) throw mismatch(`Part ${part.index} holds more than was reserved for it`)
  if (unusedBytes === 0 || !mayShrink(upload)) return
  await reserveLess(db, upload, unusedBytes)
}

async function reserveLess(db: Db, upload: LockedUpload, bytes: number): Promise<void> {
  await changeReserved(db, upload, -bytes)
  await adjustUsage(db, upload.clientId, { reservedBytes: -bytes })
}

async function changeReserved(db: Db, { uploadId }: LockedUpload, bytes: number): Promise<void> {
  await db
    .updateTable('uploads')
    .set(eb => ({ reserved_bytes: eb('reserved_bytes', '+', bytes) }))
    .where('upload_id', '=', uploadId)
    .execute()
}

export async function findPart(db: Db, blobId: string, index: number): Promise<PartRecord | null> {
  const row = await db
    .selectFrom('parts')
    .selectAll()
    .where('blob_id', '=', blobId)
    .where('part_index', '=', index)
    .executeTakeFirst()
  return row ? toPart(row) : null
}

async function writePart(db: Db, blobId: string, part: PartRecord): Promise<void> {
  const values = { size_bytes: part.sizeBytes, durable: part.durable ? 1 : 0 }
  await db
    .insertInto('parts')
    .values({ blob_id: blobId, part_index: part.index, ...values })
    .onConflict(conflict => conflict.columns(['blob_id', 'part_index']).doUpdateSet(values))
    .execute()
}

/** With a declared size, every part's length follows from its index. @throws size_mismatch */
function checkDeclaredSize({ declaredBytes, partBytes }: UploadRecord, { index, sizeBytes }: SizedPart): void {
  const expectedBytes = Math.min(partBytes, (declaredBytes ?? 0) - index * partBytes)
  if (sizeBytes === expectedBytes) return
  throw mismatch(
    expectedBytes > 0
      ? `Part ${index} must hold ${expectedBytes} bytes`
      : `An upload of ${declaredBytes} bytes has no part ${index}`,
  )
}

/** Without one, only the last part may be short. @throws size_mismatch */
function checkUndeclaredSize({ partBytes, shortPart, endParts }: LockedUpload, part: SizedPart): void {
  if (part.sizeBytes < 1 || part.sizeBytes > partBytes) throw mismatch(`A part holds 1 to ${partBytes} bytes`)
  if (shortPart !== null && part.index > shortPart) throw mismatch(`Part ${shortPart} is short, so none can follow it`)
  if (part.sizeBytes < partBytes && part.index + 1 < endParts) {
    throw mismatch(`Part ${part.index} is short, but only the last part may be`)
  }
}

function mismatch(message: string): SealiftError {
  return new SealiftError('size_mismatch', message)
}

async function noteDurable(db: Db, upload: LockedUpload, part: SizedPart): Promise<void> {
  const { parts, bytes } = await advancedPrefix(db, upload, part)
  await db
    .updateTable('blobs')
    .set({
      prefix_parts: parts,
      prefix_bytes: bytes,
      end_parts: Math.max(upload.endParts, part.index + 1),
      short_part: part.sizeBytes < upload.partBytes ? part.index : upload.shortPart,
    })
    .where('blob_id', '=', upload.blobId)
    .execute()
}

/**
 * The durable prefix moves over every part that now touches it. Each part is passed once, so this is cheap on
 * average.
 */
async function advancedPrefix(
  db: Db,
  upload: LockedUpload,
  part: SizedPart,
): Promise<{ parts: number; bytes: number }> {
  let parts = upload.prefixParts
  let bytes = upload.prefixBytes
  if (part.index !== parts) return { parts, bytes }
  for (;;) {
    const next = await nextDurable(db, upload.blobId, parts)
    parts += next.length
    for (const { sizeBytes } of next) bytes += sizeBytes
    if (next.length < PREFIX_STEP) return { parts, bytes }
  }
}

/** Durable parts `from`, `from + 1`, … without a gap; some of them when there are many. */
async function nextDurable(db: Db, blobId: string, from: number): Promise<readonly PartRecord[]> {
  const rows = await db
    .selectFrom('parts')
    .selectAll()
    .where('blob_id', '=', blobId)
    .where('part_index', '>=', from)
    .orderBy('part_index')
    .limit(PREFIX_STEP)
    .execute()
  const gap = rows.findIndex((row, position) => row.part_index !== from + position || row.durable === 0)
  return (gap === -1 ? rows : rows.slice(0, gap)).map(toPart)
}

/** Deletes the parts of a finished or aborted upload. @returns deleted rows that were charged */
export async function dropParts(db: Db, blobId: string, declaredBytes: number | null): Promise<number> {
  const { numDeletedRows } = await db.deleteFrom('parts').where('blob_id', '=', blobId).executeTakeFirstOrThrow()
  return declaredBytes === null ? Number(numDeletedRows) : 0
}
