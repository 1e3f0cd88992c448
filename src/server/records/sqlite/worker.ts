/** Runs in a worker thread that owns the only writing connection. Started by worker-client.ts. */
import { parentPort, workerData } from 'node:worker_threads'

import { createKyselyRecordStore } from '../queries/kysely-record-store.ts'
import type { AnyCall } from '../record-methods.ts'
import type { RecordStore } from '../record-store.ts'
import { openSqliteDatabase, type SqliteSettings } from './database.ts'
import { type Call, flattenError, type FromWorker, type ToWorker } from './worker-client.ts'

/** One for each call in the queue or running that its caller may abort. */
const aborts = new Map<number, AbortController>()

function serve(): void {
  const port = parentPort
  if (!port) throw new Error('This file runs in a worker thread only')
  const post = (message: FromWorker) => port.postMessage(message, ownedBuffers(message))
  const store = open(post)
  if (!store) return port.close()
  port.on('message', (message: ToWorker) => {
    if (message === 'close') void store[Symbol.asyncDispose]().then(() => port.close())
    else if ('abort' in message) aborts.get(message.abort)?.abort()
    else void run(store, message).then(post)
  })
}

function open(post: (message: FromWorker) => void): RecordStore | null {
  try {
    const store = createKyselyRecordStore(openSqliteDatabase(workerData as SqliteSettings))
    post({ id: 0, value: null })
    return store
  } catch (error) {
    post({ id: 0, error: flattenError(error) })
    return null
  }
}

async function run(store: RecordStore, { id, method, args, abortable }: Call): Promise<FromWorker> {
  const call = store[method] as AnyCall
  if (!abortable) return outcome(id, call(...args), null)
  const { signal } = setAbort(id)
  try {
    return await outcome(id, call(...args, signal), signal)
  } finally {
    aborts.delete(id)
  }
}

function setAbort(id: number): AbortController {
  const controller = new AbortController()
  aborts.set(id, controller)
  return controller
}

async function outcome(id: number, result: Promise<unknown>, signal: AbortSignal | null): Promise<FromWorker> {
  try {
    return { id, value: await result }
  } catch (error) {
    return signal?.aborted && error === signal.reason ? { id, aborted: true } : { id, error: flattenError(error) }
  }
}

/** A manifest is transferred, not copied. Small values of SQLite may share their buffer with others. */
function ownedBuffers(message: FromWorker): ArrayBuffer[] {
  const value = 'value' in message ? message.value : null
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) return []
  return value.byteLength === value.buffer.byteLength ? [value.buffer] : []
}

serve()
