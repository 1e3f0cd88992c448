/**
 * The record store on SQLite. Changes run in a worker thread, where those that wait share one synced commit
 * (group-commit.ts): a disk that takes ten milliseconds to sync delays the changes of that commit, never the event loop
 * and the transfers on it. The quick reads of requests (record-methods.ts) run here, on a read-only connection: they
 * take microseconds from the page cache, and WAL shows a change only once it is durable.
 *
 * A crash leaves the database file with its `-wal` and `-shm`; the next start replays the log. Nothing needs cleaning.
 */
import { statfs } from 'node:fs/promises'

import type { RecordDatabase } from '../queries/transactions.ts'
import { createKyselyRecordStore } from '../queries/kysely-record-store.ts'
import { SkipNoopWrites } from '../queries/skip-noop-writes.ts'
import { QUICK_METHODS, type QuickMethod } from '../record-methods.ts'
import type { MarksChanges, MeasuresRecordSpace, RecordStore } from '../record-store.ts'
import { openSqliteReader, type SqliteReader, type SqliteSettings } from './database.ts'
import { openSqliteWorker } from './worker-client.ts'

const BUSY_TIMEOUT_MS = 5000
const CACHE_BYTES = 8 * 2 ** 20

export interface SqliteRecordStoreOptions extends Partial<Omit<SqliteSettings, 'file'>> {
  /** Created when absent; its folder must exist. */
  readonly file: string
}

export type SqliteRecordStore = RecordStore & MarksChanges & MeasuresRecordSpace

/**
 * Opens the database. Call `migrate()` before anything else; dispose it when done.
 * @throws unavailable when the file cannot be opened, or is no database
 */
export async function openSqliteRecordStore(options: SqliteRecordStoreOptions): Promise<SqliteRecordStore> {
  const settings = {
    file: options.file,
    busyTimeoutMs: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS,
    cacheBytes: options.cacheBytes ?? CACHE_BYTES,
  }
  const worker = await openSqliteWorker(settings)
  const reader = openSqliteReader(settings)
  const store: RecordStore = {
    ...worker.methods,
    ...quickMethods(reader),
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]()
      reader.close()
    },
  }
  return Object.assign(new SkipNoopWrites(store, reader.db), {
    changeMark: reader.changeMark,
    freeSpace: () => spaceAt(settings.file),
  })
}

async function spaceAt(file: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(file)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

function quickMethods({ db }: SqliteReader): Pick<RecordStore, QuickMethod> {
  const refuse = () => Promise.reject(new Error('This connection only reads'))
  const database: RecordDatabase = {
    dialect: 'sqlite',
    read: db,
    write: refuse,
    snapshot: refuse,
    exclusively: refuse,
    [Symbol.asyncDispose]: async () => {},
  }
  const store = createKyselyRecordStore(database)
  const methods = QUICK_METHODS.map(method => [method, store[method]])
  return Object.fromEntries(methods) as Pick<RecordStore, QuickMethod>
}
