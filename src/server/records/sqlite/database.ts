import { closeSync, openSync } from 'node:fs'

import BetterSqlite3 from 'better-sqlite3'
import { Kysely } from 'kysely'

import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import type { RecordDatabase } from '../queries/transactions.ts'
import { GroupCommit } from './group-commit.ts'
import type { Schema } from '../schema.ts'
import { sqliteDialect } from './dialect.ts'
import { translateSqliteError } from './failures.ts'

export interface SqliteSettings {
  readonly file: string
  /** How long to wait for another process (`sealift fsck`, a backup) that holds the write lock. */
  readonly busyTimeoutMs: number
  /** Page cache of each connection. */
  readonly cacheBytes: number
}

export interface SqliteReader {
  readonly db: Kysely<Schema>
  /** Another number after each commit of another connection, of this process or another one: about 2 µs. */
  readonly changeMark: () => number
  close(): void
}

/** A read-only connection: it never waits for a change and sees each as soon as it is durable. */
export function openSqliteReader(settings: SqliteSettings): SqliteReader {
  const database = openConnection(settings, { readonly: true })
  return {
    db: new Kysely<Schema>({ dialect: sqliteDialect(database) }),
    changeMark: changeMarkOf(database),
    close: () => database.close(),
  }
}

function changeMarkOf(database: BetterSqlite3.Database): () => number {
  const version = database.prepare<[], number>('pragma data_version').pluck()
  return () => {
    try {
      return version.get() ?? 0
    } catch (error) {
      throw translateSqliteError(error)
    }
  }
}

/**
 * Opens (or creates) the database for changes: WAL, and every commit synced (`synchronous = FULL`; better-sqlite3's own
 * default for WAL may lose the last commits in a power failure). Reads have their own connection.
 */
export function openSqliteDatabase(settings: SqliteSettings): RecordDatabase {
  const database = openConnection(settings, { readonly: false })
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) })
  const commits = new GroupCommit(database, db)
  const reader = openSqliteReader(settings)
  return {
    dialect: 'sqlite',
    read: reader.db,
    write: (work, signal) => commits.write(db => work(db, false), signal),
    snapshot: (work, signal) => commits.write(work, signal),
    exclusively: (work, signal) => commits.exclusively(work, signal),
    async [Symbol.asyncDispose]() {
      await commits.idle()
      reader.close()
      emptyLog(database)
      database.close()
    },
  }
}

/** After a clean stop, all records are in one file. Best effort: the next start reads the log as well. */
function emptyLog(database: BetterSqlite3.Database): void {
  try {
    database.pragma('wal_checkpoint(TRUNCATE)')
  } catch {
    // The disk is full, or another process reads.
  }
}

/** Only this user may read a new database; its log gets the same permissions. */
function createFile(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

function openConnection(settings: SqliteSettings, { readonly }: { readonly: boolean }): BetterSqlite3.Database {
  try {
    if (!readonly) createFile(settings.file)
    const database = new BetterSqlite3(settings.file, { readonly, timeout: settings.busyTimeoutMs })
    if (!readonly) database.pragma('journal_mode = WAL')
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    database.pragma(`cache_size = ${-Math.ceil(settings.cacheBytes / 1024)}`)
    database.pragma('temp_store = MEMORY')
    return database
  } catch (error) {
    const translated = translateSqliteError(error)
    if (isSealiftError(translated)) throw translated
    throw new SealiftError('unavailable', `The record database cannot be opened: ${settings.file}`, { cause: error })
  }
}
