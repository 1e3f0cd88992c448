/** The sealed manifests themselves, in a table of their own: no question about a parcel reads one by the way. */
import { sql } from 'kysely'

import type { Db, RecordDatabase } from './database.ts'

export interface Manifest {
  readonly parcelId: string
  readonly version: number
  readonly bytes: Uint8Array
}

/**
 * PostgreSQL's driver decodes what it reads on the event loop, so a manifest is read in pieces of this size, each with a
 * query of its own. SQLite reads the whole value for any piece of it, so there it is read at once, in the worker thread.
 */
const PIECE_BYTES = 256 * 1024

/** Replaces the manifest of an earlier version. */
export async function putManifest(db: Db, { parcelId, version, bytes }: Manifest): Promise<void> {
  const values = { version, bytes: asBuffer(bytes) }
  await db
    .insertInto('manifests')
    .values({ parcel_id: parcelId, ...values })
    .onConflict(conflict => conflict.column('parcel_id').doUpdateSet(values))
    .execute()
}

/** Whether this version is stored with these very bytes. They are compared where they are. */
export async function holdsManifest(db: Db, { parcelId, version, bytes }: Manifest): Promise<boolean> {
  const row = await db
    .selectFrom('manifests')
    .select('version')
    .where('parcel_id', '=', parcelId)
    .where('version', '=', version)
    .where('bytes', '=', asBuffer(bytes))
    .executeTakeFirst()
  return row !== undefined
}

/** @returns `null` when this version is not there, or no longer */
export function readManifest(
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

/** A version never changes, so pieces of one version fit together, whatever is published in between. */
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

/** A view: a manifest is not copied to be stored. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}
