/** The near side of the worker thread that changes the records: each call becomes a message, each answer settles it. */
import { Worker } from 'node:worker_threads'

import { SealiftError, type SealiftErrorCode, isSealiftError } from '../../../protocol/errors.ts'
import type { RecordStore } from '../record-store.ts'
import type { SqliteSettings } from './database.ts'

export type RecordChanges = Pick<RecordStore, Method>

export interface SqliteWriter extends AsyncDisposable {
  readonly changes: RecordChanges
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: unknown): void
}

/** @throws unavailable when the database cannot be opened */
export async function openSqliteWriter(settings: SqliteSettings): Promise<SqliteWriter> {
  const writer = new WorkerClient(new Worker(workerFile(), { workerData: settings }))
  await writer.opened
  const calls = METHODS.map(method => [method, (...args: unknown[]) => writer.call(method, args)])
  return {
    changes: Object.fromEntries(calls) as RecordChanges,
    [Symbol.asyncDispose]: () => writer.close(),
  }
}

/** Beside this file, whether it runs as it is written or compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./worker.${extension}`, import.meta.url)
}

class WorkerClient {
  /** Resolves once the database is open. */
  readonly opened: Promise<void>
  readonly #worker: Worker
  readonly #exited: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #failure: SealiftError | null = null

  constructor(worker: Worker) {
    this.#worker = worker
    this.opened = new Promise((resolve, reject) => {
      this.#waiting.set(0, { resolve: () => resolve(), reject })
    })
    worker.on('message', (answer: Answer) => this.#settle(answer))
    worker.on('error', error => this.#fail(error))
    this.#exited = new Promise(resolve => {
      worker.once('exit', () => {
        this.#fail(undefined)
        resolve()
      })
    })
  }

  call(method: Method, args: readonly unknown[]): Promise<unknown> {
    if (this.#failure) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      const id = this.#nextId++
      this.#waiting.set(id, { resolve, reject })
      this.#post({ id, method, args })
    })
  }

  /** Lets everything asked for so far become durable first. */
  async close(): Promise<void> {
    this.#post('close')
    await this.#exited
  }

  #post(message: Call | 'close'): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage(message)
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(reviveError(answer.error))
    else waiting?.resolve(answer.value)
  }

  #fail(cause: unknown): void {
    this.#failure ??= new SealiftError('unavailable', 'The record database was closed or its thread ended', { cause })
    for (const waiting of this.#waiting.values()) waiting.reject(this.#failure)
    this.#waiting.clear()
  }
}

/** What travels between the record store and its worker thread. */

/** Every method of the store that may write, or asks for more than a request should wait for on its own thread. */
export const METHODS = [
  'beginUpload',
  'reservePart',
  'reservePresignedPart',
  'recordPart',
  'finalizeUpload',
  'finishUpload',
  'finishInOneStep',
  'abortUpload',
  'addLease',
  'endLease',
  'takeDownload',
  'returnDownload',
  'publishParcel',
  'readManifest',
  'replaceManifest',
  'endParcel',
  'noteDevice',
  'endExpiredLeases',
  'endExpiredParcels',
  'abortExpiredUploads',
  'listCompleting',
  'listTombstones',
  'postponeTombstone',
  'purgeBlob',
  'listPresignedCharges',
  'releasePresignedCharge',
  'purgeEnded',
  'knownBlobs',
  'listLiveBlobs',
  'endBlob',
  'auditUsage',
  'totals',
  'databaseTime',
  'acquireLock',
  'renewLock',
  'releaseLock',
  'migrate',
  'checkSchema',
  'probe',
] as const satisfies readonly (keyof RecordStore)[]

export type Method = (typeof METHODS)[number]

export interface Call {
  readonly id: number
  readonly method: Method
  readonly args: readonly unknown[]
}

/** Id 0 answers the opening itself. */
export type Answer =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: FlatError }

/** An error as data: a structured clone would keep neither its class nor its code. */
export interface FlatError {
  readonly code: SealiftErrorCode | null
  readonly message: string
  readonly context: Readonly<Record<string, unknown>>
  readonly cause: string | null
}

export function flattenError(error: unknown): FlatError {
  if (isSealiftError(error)) {
    const { code, message, context, cause } = error
    return { code, message, context, cause: cause instanceof Error ? cause.message : null }
  }
  if (error instanceof Error) return { code: null, message: error.message, context: {}, cause: error.stack ?? null }
  return { code: null, message: 'The record thread failed', context: {}, cause: null }
}

export function reviveError({ code, message, context, cause }: FlatError): Error {
  if (code !== null) return new SealiftError(code, message, { context, ...(cause === null ? {} : { cause }) })
  return new Error(message, { cause })
}
