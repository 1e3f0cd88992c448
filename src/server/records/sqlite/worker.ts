/** The far side: runs in a worker thread that owns the only writing connection. Started by sqlite-writer.ts. */
import { parentPort, workerData } from 'node:worker_threads'

import { createKyselyRecordStore } from '../queries/kysely-record-store.ts'
import type { RecordStore } from '../record-store.ts'
import { openSqliteDatabase, type SqliteSettings } from './database.ts'
import { type Answer, type Call, flattenError } from './worker-client.ts'

function serve(): void {
  const port = parentPort
  if (!port) throw new Error('This file runs in a worker thread only')
  const answer = (message: Answer) => port.postMessage(message, ownedBuffers(message))
  const store = open(answer)
  if (!store) return port.close()
  port.on('message', (message: Call | 'close') => {
    if (message === 'close') void store[Symbol.asyncDispose]().then(() => port.close())
    else void run(store, message).then(answer)
  })
}

function open(answer: (message: Answer) => void): RecordStore | null {
  try {
    const store = createKyselyRecordStore(openSqliteDatabase(workerData as SqliteSettings))
    answer({ id: 0, value: null })
    return store
  } catch (error) {
    answer({ id: 0, error: flattenError(error) })
    return null
  }
}

async function run(store: RecordStore, { id, method, args }: Call): Promise<Answer> {
  try {
    const call = store[method] as (...args: readonly unknown[]) => Promise<unknown>
    return { id, value: await call(...args) }
  } catch (error) {
    return { id, error: flattenError(error) }
  }
}

/** A manifest is handed over, not copied. Small values of SQLite may share their buffer with others. */
function ownedBuffers(message: Answer): ArrayBuffer[] {
  const value = 'value' in message ? message.value : null
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) return []
  return value.byteLength === value.buffer.byteLength ? [value.buffer] : []
}

serve()
