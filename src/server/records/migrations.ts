import { type Kysely, sql } from 'kysely'
import type { Migration } from 'kysely/migration'

export type SqlDialect = 'sqlite' | 'postgres'

/** All steps of the schema, ordered by name. A released step never changes. */
export function migrationsFor(dialect: SqlDialect): Record<string, Migration> {
  const step = (statements: (types: ColumnTypes) => readonly string[]): Migration => ({
    up: db => run(db, statements(COLUMN_TYPES[dialect])),
  })
  return {
    '0001_first': step(firstSchema),
    '0002_cluster': step(clusterSchema),
    '0003_holders': step(holdersSchema),
    '0004_addresses': step(addressesSchema),
    '0005_manifests': step(manifestsSchema),
    '0006_charges': step(chargesSchema),
  }
}

interface ColumnTypes {
  readonly text: string
  readonly bytes: string
  /** Statements that only this database needs. */
  readonly storeBytesWhole: (column: { table: string; column: string }) => readonly string[]
}

/**
 * Texts are compared byte by byte, as in SQLite: ids sort alike in both databases, and no index depends on a
 * collation of the system, which an update may change.
 */
const COLUMN_TYPES: Readonly<Record<SqlDialect, ColumnTypes>> = {
  sqlite: { text: 'text', bytes: 'blob', storeBytesWhole: () => [] },
  postgres: {
    text: 'text collate "C"',
    bytes: 'bytea',
    // Sealed bytes do not compress, and a range of an uncompressed value can be read without the rest.
    storeBytesWhole: ({ table, column }) => [`alter table ${table} alter column ${column} set storage external`],
  },
}

async function run(db: Kysely<unknown>, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}

/**
 * Partial indexes keep the sweep's queries cheap: each holds only the rows with work left. Some repeat the columns of
 * their condition, so that counts read the index alone.
 */
function firstSchema({ text, bytes }: ColumnTypes): readonly string[] {
  return [
    `create table blobs (
      blob_id ${text} primary key, part_bytes bigint not null, state ${text} not null, declared_bytes bigint, size_bytes bigint,
      prefix_parts bigint not null, prefix_bytes bigint not null, end_parts bigint not null, short_part bigint,
      created_at bigint not null,
      deleted_at bigint, purged_at bigint)`,
    `create index blobs_completing on blobs (blob_id) where state = 'completing' and deleted_at is null`,
    `create index blobs_unfinished on blobs (created_at) where state <> 'complete' and deleted_at is null`,
    `create index blobs_complete on blobs (size_bytes, state, deleted_at) where state = 'complete' and deleted_at is null`,
    `create index blobs_tombstones on blobs (deleted_at) where deleted_at is not null and purged_at is null`,
    `create index blobs_purged on blobs (purged_at) where purged_at is not null`,

    `create table uploads (
      upload_id ${text} primary key, blob_id ${text} not null unique, media_id ${text} not null, client_id ${text} not null,
      owner_hash ${text}, reserved_bytes bigint not null, max_bytes bigint not null,
      expires_at bigint not null, finished_at bigint)`,
    `create index uploads_open on uploads (expires_at) where finished_at is null`,
    `create index uploads_finished on uploads (finished_at) where finished_at is not null`,

    `create table parts (
      blob_id ${text} not null, part_index bigint not null, size_bytes bigint not null, durable bigint not null,
      primary key (blob_id, part_index))`,

    `create table leases (
      media_id ${text} primary key, blob_id ${text} not null, client_id ${text} not null, owner_hash ${text},
      created_at bigint not null, expires_at bigint not null, max_downloads bigint, downloads_left bigint,
      ended_at bigint)`,
    `create index leases_of_blob on leases (blob_id)`,
    `create index leases_live on leases (expires_at, ended_at) where ended_at is null`,
    `create index leases_used_up on leases (downloads_left) where ended_at is null and downloads_left is not null`,
    `create index leases_ended on leases (ended_at) where ended_at is not null`,

    `create table grants (
      media_id ${text} not null, grant_id ${text} not null, expires_at bigint not null, primary key (media_id, grant_id))`,
    `create index grants_lapsing on grants (expires_at)`,

    `create table parcels (
      parcel_id ${text} primary key, client_id ${text} not null, owner_hash ${text}, version bigint not null,
      manifest ${bytes} not null, created_at bigint not null, expires_at bigint not null, ended_at bigint)`,
    `create index parcels_live on parcels (expires_at, ended_at) where ended_at is null`,
    `create index parcels_ended on parcels (ended_at) where ended_at is not null`,
    `create table parcel_media (
      parcel_id ${text} not null, media_id ${text} not null, primary key (parcel_id, media_id))`,

    `create table client_usage (
      client_id ${text} primary key, stored_bytes bigint not null, reserved_bytes bigint not null,
      pending_uploads bigint not null)`,
    `create table devices (
      client_id ${text} not null, device_id ${text} not null, seen_at bigint not null, primary key (client_id, device_id))`,
    `create index devices_seen on devices (seen_at)`,
    `create table idempotency (
      client_id ${text} not null, key ${text} not null, fingerprint ${text} not null, made_id ${text} not null,
      expires_at bigint not null, primary key (client_id, key))`,
    `create index idempotency_lapsing on idempotency (expires_at)`,
    `create table probes (id bigint primary key, count bigint not null)`,
  ]
}

function clusterSchema({ text }: ColumnTypes): readonly string[] {
  return [
    `create table named_leases (
      name ${text} primary key, holder ${text} not null, fence bigint not null, expires_at bigint not null)`,
    `alter table client_usage add column idle bigint not null default 0`,
    `update client_usage set idle = 1 where stored_bytes = 0 and reserved_bytes = 0 and pending_uploads = 0`,
    `create index client_usage_idle on client_usage (client_id) where idle = 1`,
  ]
}

/**
 * A media item may be forwarded a million times: one index lookup finds whether a client, or any client, holds its
 * blob. Each lease is in one of the two indexes, so they cost as much as the one before.
 */
function holdersSchema(): readonly string[] {
  return [
    `create index leases_held on leases (blob_id, client_id) where ended_at is null`,
    `create index leases_over on leases (blob_id) where ended_at is not null`,
    `drop index leases_of_blob`,
  ]
}

function addressesSchema(): readonly string[] {
  return [
    `alter table blobs add column addresses_until bigint`,
    `create index uploads_held on uploads (upload_id) where finished_at is not null and reserved_bytes > 0`,
  ]
}

/**
 * SQLite reads through a manifest to reach the columns after it, so manifests have a table of their own. Ended
 * parcels have no manifest.
 */
function manifestsSchema({ text, bytes, storeBytesWhole }: ColumnTypes): readonly string[] {
  return [
    `create table manifests (parcel_id ${text} primary key, version bigint not null, bytes ${bytes} not null)`,
    ...storeBytesWhole({ table: 'manifests', column: 'bytes' }),
    `insert into manifests (parcel_id, version, bytes)
      select parcel_id, version, manifest from parcels where ended_at is null`,
    `alter table parcels add column manifest_bytes bigint not null default 0`,
    `update parcels set manifest_bytes = length(manifest) where ended_at is null`,
    `alter table parcels drop column manifest`,
  ]
}

/**
 * From this step on, manifests and rows are charged, and forwards of counted leases record their source. Older
 * versions did not record it: their forwards retain their own counts.
 */
function chargesSchema({ text }: ColumnTypes): readonly string[] {
  return [
    `alter table leases add column counter_id ${text}`,
    `alter table leases add column above_id ${text}`,
    `alter table leases add column source_id ${text}`,
    `update leases set counter_id = media_id where max_downloads is not null`,
    `create index leases_forwarded on leases (source_id) where ended_at is null and source_id is not null`,

    `alter table parcels add column media_count bigint not null default 0`,
    `update parcels set media_count = (select count(*) from parcel_media where parcel_media.parcel_id = parcels.parcel_id)`,

    `alter table client_usage add column stored_rows bigint not null default 0`,
    `create table charges_0006 (client_id ${text} primary key, row_count bigint not null, manifest_bytes bigint not null)`,
    `insert into charges_0006
      select client_id, cast(sum(row_count) as bigint), cast(sum(manifest_bytes) as bigint) from (
        select client_id, 1 + coalesce(max_downloads, 0) as row_count, 0 as manifest_bytes from leases
        union all select client_id, 1 + media_count, manifest_bytes from parcels
        union all select client_id, 1, 0 from idempotency
        union all select uploads.client_id, 1, 0 from parts
          join uploads on uploads.blob_id = parts.blob_id join blobs on blobs.blob_id = parts.blob_id
          where uploads.finished_at is null and blobs.declared_bytes is null) as found
      group by client_id`,
    `insert into client_usage (client_id, stored_bytes, reserved_bytes, pending_uploads, idle)
      select client_id, 0, 0, 0, 0 from charges_0006
      where not exists (select 1 from client_usage where client_usage.client_id = charges_0006.client_id)`,
    `update client_usage set idle = 0,
      stored_rows = (select row_count from charges_0006 where charges_0006.client_id = client_usage.client_id),
      stored_bytes = stored_bytes
        + (select manifest_bytes from charges_0006 where charges_0006.client_id = client_usage.client_id)
      where client_id in (select client_id from charges_0006)`,
    `drop table charges_0006`,
  ]
}
