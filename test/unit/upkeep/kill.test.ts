import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import { openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { openSqliteRecordStore } from '../../../src/server/records/sqlite/index.ts'
import { auditAfterCrash, type Promises } from '../../support/storage-life.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

const CHILD = join(import.meta.dirname, '../../support/storage-life-child.ts')

interface WrittenPromises {
  readonly parts: [string, number[]][]
  readonly complete: [string, 'in parts' | 'in one piece' | null][]
}

/** Lives in a process of its own that is killed before the nth step. */
async function killAt(directory: string, step: number): Promise<{ signal: string | null; promises: Promises }> {
  const signal = await new Promise<string | null>(resolve => {
    execFile(process.execPath, [CHILD, directory, String(step)], error => resolve(error?.signal ?? null))
  })
  const written = JSON.parse(readFileSync(join(directory, 'promises.json'), 'utf8')) as WrittenPromises
  const parts = new Map(written.parts.map(([mediaId, indices]) => [mediaId, new Set(indices)]))
  return { signal, promises: { parts, complete: new Map(written.complete) } }
}

describe('kill -9 of the process', () => {
  it.each([20, 45, 65, 85, 105])('before step %i breaks no promise, and leaves nothing for ever', async step => {
    await using directory = await tempDirectory()
    const { signal, promises } = await killAt(directory.path, step)
    expect(signal).toBe('SIGKILL')
    await using records = await openSqliteRecordStore({ file: join(directory.path, 'records.db') })
    await using blobs = await openFileBlobStore({ directory: join(directory.path, 'blobs') })
    await auditAfterCrash({ blobs, records }, promises)
  })
})
