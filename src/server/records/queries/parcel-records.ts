import { type Selectable, sql } from 'kysely'

import { SealiftError } from '../../../protocol/errors.ts'
import { owns } from '../ownership.ts'
import { abandonable, type Db, type RecordDatabase, prepared } from './transactions.ts'
import { type Freed, endLeases, free } from './end-leases.ts'
import { insertKey } from './idempotency.ts'
import { NO_USAGE, chargeStored } from './quota-usage.ts'
import type { ParcelRecords } from '../record-store.ts'
import type { OwnershipProof, NewParcel, NextManifest, ParcelRecord } from '../record-types.ts'
import { toParcel } from './rows.ts'
import type { ParcelsTable } from '../schema.ts'

/** Media named in one statement. */
const STEP = 500

type ParcelRow = Selectable<ParcelsTable>

export function createParcelRecords(database: RecordDatabase): ParcelRecords {
  const { read } = database
  const parcelById = prepared<ParcelRow>(read, () => read.selectFrom('parcels').selectAll().where('parcel_id', '=', ''))
  return {
    publishParcel: (parcel, proof, signal) =>
      database.write((db, again) => publishParcel(db, parcel, proof, again), signal),
    async findParcel(parcelId, signal) {
      const [row] = await abandonable(parcelById(parcelId), signal)
      return row ? toParcel(row) : null
    },
    readManifest: (parcelId, version, signal) => abandonable(readManifest(database, parcelId, version), signal),
    replaceManifest: (parcelId, next, proof, signal) =>
      database.write(async (db, again) => {
        const parcel = await ownedParcel(db, parcelId, proof)
        if (again && (await isReplaced(db, parcel, next))) return toParcel(parcel)
        return replaceManifest(db, parcel, next, proof)
      }, signal),
    endParcel: (parcelId, proof, now, signal) =>
      database.write(async db => {
        const parcel = await ownedParcel(db, parcelId, proof)
        if (parcel.ended_at === null) await endParcels(db, [parcelId], now)
      }, signal),
  }
}

async function publishParcel(db: Db, parcel: NewParcel, proof: OwnershipProof, again: boolean): Promise<ParcelRecord> {
  const { createdId, rows } = await insertKey(db, parcel.idempotency, parcel.parcelId, parcel.createdAt)
  if (createdId !== null) return existingParcel(db, createdId)
  const published = again ? await selectParcel(db, parcel.parcelId) : null
  if (published) return published
  const media = [...new Set(parcel.media)]
  await assertOwnLive(db, media, proof)
  const row = {
    parcel_id: parcel.parcelId,
    client_id: parcel.clientId,
    owner_hash: parcel.ownerHash,
    version: 1,
    manifest_bytes: parcel.manifest.length,
    media_count: media.length,
    created_at: parcel.createdAt,
    expires_at: parcel.expiresAt,
    ended_at: null,
  }
  await db.insertInto('parcels').values(row).execute()
  await putManifest(db, { parcelId: parcel.parcelId, version: 1, bytes: parcel.manifest })
  await cover(db, parcel.parcelId, media)
  const added = { bytes: parcel.manifest.length, rows: rows + 1 + media.length }
  await chargeStored(db, parcel.clientId, added, parcel.caps)
  return toParcel(row)
}

async function selectParcel(db: Db, parcelId: string): Promise<ParcelRecord | null> {
  const row = await db.selectFrom('parcels').selectAll().where('parcel_id', '=', parcelId).executeTakeFirst()
  return row ? toParcel(row) : null
}

/** @throws gone when it was purged */
async function existingParcel(db: Db, parcelId: string): Promise<ParcelRecord> {
  const parcel = await selectParcel(db, parcelId)
  if (!parcel) throw new SealiftError('gone', 'The parcel that this Idempotency-Key created is gone')
  return parcel
}

/**
 * The parcel with its row locked ([Note: row locks] in transactions.ts). @throws not_found, also for another owner's
 * parcel
 */
async function ownedParcel(db: Db, parcelId: string, proof: OwnershipProof): Promise<ParcelRow> {
  const row = await db
    .selectFrom('parcels')
    .selectAll()
    .where('parcel_id', '=', parcelId)
    .forUpdate()
    .executeTakeFirst()
  if (!row || !owns(proof, row)) throw new SealiftError('not_found', 'There is no such parcel')
  return row
}

async function replaceManifest(
  db: Db,
  parcel: ParcelRow,
  next: NextManifest,
  proof: OwnershipProof,
): Promise<ParcelRecord> {
  assertReplaceable(parcel, next)
  const media = new Set(next.media)
  const covered = await coveredMedia(db, [parcel.parcel_id])
  for (const mediaId of covered) if (!media.delete(mediaId)) throw dropped()
  const added = [...media]
  await assertOwnLive(db, added, proof)
  await cover(db, parcel.parcel_id, added)
  const change = {
    version: parcel.version + 1,
    manifest_bytes: next.manifest.length,
    media_count: parcel.media_count + added.length,
  }
  await db.updateTable('parcels').set(change).where('parcel_id', '=', parcel.parcel_id).execute()
  await putManifest(db, { parcelId: parcel.parcel_id, version: change.version, bytes: next.manifest })
  const more = { bytes: change.manifest_bytes - parcel.manifest_bytes, rows: added.length }
  await chargeStored(db, parcel.client_id, more, next.caps)
  return toParcel({ ...parcel, ...change })
}

/** Whether an earlier commit of this call succeeded ([Note: unknown commits] in transactions.ts). */
async function isReplaced(db: Db, parcel: ParcelRow, { ifVersion, manifest }: NextManifest): Promise<boolean> {
  if (parcel.version !== ifVersion + 1) return false
  return holdsManifest(db, { parcelId: parcel.parcel_id, version: parcel.version, bytes: manifest })
}

/** @throws gone, version_mismatch */
function assertReplaceable(parcel: ParcelRow, next: NextManifest): void {
  if (parcel.ended_at !== null || parcel.expires_at <= next.now) throw new SealiftError('gone', 'The parcel has ended')
  if (parcel.version === next.ifVersion) return
  throw new SealiftError('version_mismatch', `The parcel has version ${parcel.version}: read it, then try again`, {
    context: { version: parcel.version },
  })
}

function dropped(): SealiftError {
  return new SealiftError('invalid_request', 'A covered media item is missing in the new list: a parcel may only grow')
}

/** @throws not_found when one is absent, ended or another owner's */
async function assertOwnLive(db: Db, mediaIds: readonly string[], proof: OwnershipProof): Promise<void> {
  for (let from = 0; from < mediaIds.length; from += STEP) {
    const step = mediaIds.slice(from, from + STEP)
    const leases = await db
      .selectFrom('leases')
      .select(['client_id', 'owner_hash'])
      .where('media_id', 'in', step)
      .where('ended_at', 'is', null)
      .execute()
    if (leases.length === step.length && leases.every(lease => owns(proof, lease))) continue
    throw new SealiftError('not_found', 'A media item to cover does not exist, or is not yours')
  }
}

async function cover(db: Db, parcelId: string, mediaIds: readonly string[]): Promise<void> {
  for (let from = 0; from < mediaIds.length; from += STEP) {
    const rows = mediaIds.slice(from, from + STEP).map(mediaId => ({ parcel_id: parcelId, media_id: mediaId }))
    await db.insertInto('parcel_media').values(rows).execute()
  }
}

async function coveredMedia(db: Db, parcelIds: readonly string[]): Promise<readonly string[]> {
  const rows = await db.selectFrom('parcel_media').select('media_id').where('parcel_id', 'in', parcelIds).execute()
  return rows.map(row => row.media_id)
}

/** Ends live parcels, whose rows are locked, and the leases they cover; deletes their manifests. */
export async function endParcels(db: Db, parcelIds: readonly string[], now: number): Promise<void> {
  if (parcelIds.length === 0) return
  const freed = await manifestBytesByClient(db, parcelIds)
  await endLeases(db, [...new Set(await coveredMedia(db, parcelIds))], now, { freed })
  await db
    .updateTable('parcels')
    .set({ ended_at: now, manifest_bytes: 0 })
    .where('parcel_id', 'in', parcelIds)
    .execute()
  await dropManifests(db, parcelIds)
}

/** The manifests' bytes, by charged client. */
async function manifestBytesByClient(db: Db, parcelIds: readonly string[]): Promise<Freed> {
  const rows = await db
    .selectFrom('parcels')
    .select(['client_id', 'manifest_bytes'])
    .where('parcel_id', 'in', parcelIds)
    .where('ended_at', 'is', null)
    .execute()
  const freed: Freed = new Map()
  for (const row of rows) free(freed, row.client_id, { ...NO_USAGE, storedBytes: row.manifest_bytes })
  return freed
}

interface ManifestRow {
  readonly parcelId: string
  readonly version: number
  readonly bytes: Uint8Array
}

/**
 * PostgreSQL's driver decodes rows on the event loop, so a manifest is read in pieces of this size, one query each.
 * SQLite reads the entire value for any piece of it, so there it is read at once, in the worker thread.
 */
const PIECE_BYTES = 256 * 1024

/** Replaces the manifest of an earlier version. */
async function putManifest(db: Db, { parcelId, version, bytes }: ManifestRow): Promise<void> {
  const values = { version, bytes: asBuffer(bytes) }
  await db
    .insertInto('manifests')
    .values({ parcel_id: parcelId, ...values })
    .onConflict(conflict => conflict.column('parcel_id').doUpdateSet(values))
    .execute()
}

/** Whether this version is stored with these bytes. The database compares them. */
async function holdsManifest(db: Db, { parcelId, version, bytes }: ManifestRow): Promise<boolean> {
  const row = await db
    .selectFrom('manifests')
    .select('version')
    .where('parcel_id', '=', parcelId)
    .where('version', '=', version)
    .where('bytes', '=', asBuffer(bytes))
    .executeTakeFirst()
  return row !== undefined
}

/** @returns `null` when this version does not exist, or was replaced */
function readManifest(
  { dialect, read }: RecordDatabase,
  parcelId: string,
  version: number,
): Promise<Uint8Array | null> {
  return dialect === 'postgres' ? readInPieces(read, parcelId, version) : readAtOnce(read, parcelId, version)
}

export async function dropManifests(db: Db, parcelIds: readonly string[]): Promise<void> {
  await db.deleteFrom('manifests').where('parcel_id', 'in', parcelIds).execute()
}

async function readAtOnce(db: Db, parcelId: string, version: number): Promise<Uint8Array | null> {
  const row = await db
    .selectFrom('manifests')
    .select('bytes')
    .where('parcel_id', '=', parcelId)
    .where('version', '=', version)
    .executeTakeFirst()
  return row?.bytes ?? null
}

/** A version never changes, so its pieces fit together, whatever is published between two queries. */
async function readInPieces(db: Db, parcelId: string, version: number): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = []
  for (;;) {
    const from = sql.lit(pieces.length * PIECE_BYTES + 1)
    const row = await db
      .selectFrom('manifests')
      .select(sql<Uint8Array>`substring(bytes from ${from} for ${sql.lit(PIECE_BYTES)})`.as('piece'))
      .where('parcel_id', '=', parcelId)
      .where('version', '=', version)
      .executeTakeFirst()
    if (!row) return null
    pieces.push(row.piece)
    if (row.piece.length < PIECE_BYTES) return Buffer.concat(pieces)
  }
}

/** A view: the manifest is not copied. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
