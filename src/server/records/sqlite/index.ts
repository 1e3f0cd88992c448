/**
 * The record store on SQLite. Changes run in a worker thread, where those that wait share one synced commit
 * (group-commit.ts): a disk that takes ten milliseconds to sync holds up whoever waits for that commit, never the event
 * loop and the transfers on it. The questions that every request asks run here, on a read-only connection: microseconds
 * from the page cache, and by WAL they see a change only once it is durable.
 *
 * What a crash leaves: the database file with its `-wal` and `-shm`; the next start replays the log. Nothing to clean.
 */
import { statfs } from 'node:fs/promises'

import { createClientRecords } from '../queries/client-records.ts'
import type { RecordDatabase } from '../queries/database.ts'
import { createMediaRecords } from '../queries/media-records.ts'
import { createParcelRecords } from '../queries/parcel-records.ts'
import type { MarksChanges, MeasuresRecordSpace, RecordStore } from '../record-store.ts'
import { sparingWrites } from '../queries/skip-noop-writes.ts'
import { openSqliteReader, type SqliteReader, type SqliteSettings } from './database.ts'
import { openSqliteWriter, type SqliteWriter } from './worker-client.ts'
import { createUploadRecords } from '../queries/upload-records.ts'

const BUSY_TIMEOUT_MS = 5000
const CACHE_BYTES = 8 * 2 ** 20

export interface SqliteRecordStoreOptions extends Partial<Omit<SqliteSettings, 'file'>> {
  /** Made when absent; its folder must exist. */
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
  const writer = await openSqliteWriter(settings)
  const reader = openSqliteReader(settings)
  return createStore(writer, reader, settings.file)
}

function createStore(writer: SqliteWriter, reader: SqliteReader, file: string): SqliteRecordStore {
  const questions = createQuestions(reader)
  const { changes } = writer
  return {
    ...changes,
    ...questions,
    changeMark: reader.changeMark,
    freeSpace: () => spaceAt(file),
    ...sparingWrites({ ...changes, findUpload: questions.findUpload }, reader.db),
    async [Symbol.asyncDispose]() {
      await writer[Symbol.asyncDispose]()
      reader.close()
    },
  }
}

async function spaceAt(file: string): Promise<{ freeBytes: number; totalBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(file)
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize }
}

/** What is asked on this thread; see the head of this file. */
function createQuestions(reader: SqliteReader) {
  const database = readOnly(reader)
  const uploads = createUploadRecords(database)
  const media = createMediaRecords(database)
  const parcels = createParcelRecords(database)
  const clients = createClientRecords(database)
  return {
    findUpload: (uploadId: string) => uploads.findUpload(uploadId),
    findPart: (blobId: string, index: number) => uploads.findPart(blobId, index),
    listParts: (blobId: string) => uploads.listParts(blobId),
    findMedia: (mediaId: string) => media.findMedia(mediaId),
    durablePrefix: (blobId: string, partBytes: number) => media.durablePrefix(blobId, partBytes),
    hasGrant: (mediaId: string, grantId: string, now: number) => media.hasGrant(mediaId, grantId, now),
    findParcel: (parcelId: string) => parcels.findParcel(parcelId),
    usage: (clientId: string) => clients.usage(clientId),
    countDevices: (clientId: string, forgetBefore: number) => clients.countDevices(clientId, forgetBefore),
  }
}

function readOnly({ db }: SqliteReader): RecordDatabase {
  const refuse = () => Promise.reject(new Error('This connection only reads'))
  return {
    dialect: 'sqlite',
    read: db,
    write: refuse,
    snapshot: refuse,
    exclusively: refuse,
    [Symbol.asyncDispose]: async () => {},
  }
}
