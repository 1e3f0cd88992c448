/** Run as a program: lives one life of the storage and kills itself before the nth step. Keeps what it
 * has promised in `promises.json`. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { openFileBlobStore } from '../../src/server/blobs/file/blob-store.ts'
import { nodeFileSystem } from '../../src/server/blobs/file/file-system.ts'
import { openSqliteRecordStore } from '../../src/server/records/sqlite/index.ts'
import { hookedFileSystem } from './hooked-file-system.ts'
import { hookedRecords } from './hooked-records.ts'
import { liveOnce, noPromises } from './storage-life.ts'

const [directory = '', dieBefore = '0'] = process.argv.slice(2)
const promises = noPromises()
const promisesFile = join(directory, 'promises.json')
let steps = 0

/** Synchronous, and whole or not at all: what was promised before the end is told before the end. */
const step = async () => {
  steps += 1
  const parts = [...promises.parts].map(([mediaId, indices]) => [mediaId, [...indices]])
  writeFileSync(`${promisesFile}.new`, JSON.stringify({ parts, complete: [...promises.complete] }))
  renameSync(`${promisesFile}.new`, promisesFile)
  if (steps >= Number(dieBefore)) process.kill(process.pid, 'SIGKILL')
}

const records = await openSqliteRecordStore({ file: join(directory, 'records.db') })
await records.migrate()
const blobs = await openFileBlobStore({
  directory: join(directory, 'blobs'),
  fileSystem: hookedFileSystem(nodeFileSystem, step),
})
await liveOnce({ blobs, records: hookedRecords(records, step) }, promises)
await records[Symbol.asyncDispose]()
