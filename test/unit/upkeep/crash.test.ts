import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import { openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { nodeFileSystem } from '../../../src/server/blobs/file/file-system.ts'
import { createKyselyRecordStore } from '../../../src/server/records/queries/kysely-record-store.ts'
import { openSqliteDatabase } from '../../../src/server/records/sqlite/database.ts'
import { hookedFileSystem, Stopper } from '../../support/hooked-file-system.ts'
import { hookedRecords } from '../../support/hooked-records.ts'
import { auditAfterCrash, liveOnce, noPromises, type Promises, type Storage } from '../../support/storage-life.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

/** Before it, the folders are made and nothing is promised yet. */
const FIRST_STEP = 10

async function openStorage(directory: string): Promise<Storage & AsyncDisposable> {
  const file = join(directory, 'records.db')
  const records = createKyselyRecordStore(openSqliteDatabase({ file, busyTimeoutMs: 5000, cacheBytes: 2 ** 20 }))
  await records.migrate()
  const blobs = await openFileBlobStore({ directory: join(directory, 'blobs') })
  return {
    blobs,
    records,
    async [Symbol.asyncDispose]() {
      await blobs[Symbol.asyncDispose]()
      await records[Symbol.asyncDispose]()
    },
  }
}

/** Lives until the nth step, then never moves again. @returns true when that was in the middle of its life */
async function stopAt(directory: string, step: number, promises: Promises): Promise<boolean> {
  const stopper = new Stopper(step)
  await using storage = await openStorage(directory)
  const blobs = await openFileBlobStore({
    directory: join(directory, 'blobs'),
    fileSystem: hookedFileSystem(nodeFileSystem, stopper.before),
  })
  const life = liveOnce({ blobs, records: hookedRecords(storage.records, stopper.before) }, promises)
  return await Promise.race([life.then(() => false), stopper.stopped.then(() => true)])
}

/** Lives, is stopped before the nth step, and is audited. @returns false when its life had no such step */
async function crashAt(step: number): Promise<boolean> {
  await using directory = await tempDirectory()
  const promises = noPromises()
  if (!(await stopAt(directory.path, step, promises))) return false
  await using storage = await openStorage(directory.path)
  await auditAfterCrash(storage, promises)
  return true
}

describe('a crash', () => {
  it('before any single step breaks no promise, leaves nothing half complete, and nothing for ever', async () => {
    const crashed: boolean[] = []
    while (!crashed.includes(false)) {
      const steps = Array.from({ length: 10 }, (_, index) => FIRST_STEP + crashed.length + index)
      crashed.push(...(await Promise.all(steps.map(crashAt))))
    }
    expect(crashed.indexOf(false)).toBeGreaterThan(90)
  })
})
