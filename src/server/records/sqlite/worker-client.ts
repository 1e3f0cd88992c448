/** The worker thread that changes the records, as the event loop sees it, and the messages between the two. */
import { Worker } from 'node:worker_threads'

import { isSealiftError, SealiftError, type SealiftErrorCode } from '../../../protocol/errors.ts'
import { WORKER_METHODS, type WorkerMethod } from '../record-methods.ts'
import type { RecordStore } from '../record-store.ts'
import type { SqliteSettings } from './database.ts'

export interface Call {
  readonly id: number
  readonly method: WorkerMethod
  readonly args: readonly unknown[]
  readonly abortable: boolean
}

/** `abort`: a call that has not begun is dropped. `close`: all calls before it become durable, then the thread ends. */
export type ToWorker = Call | { readonly abort: number } | 'close'

/** Id 0 reports that the database is open. `aborted`: the call was dropped before it began. */
export type FromWorker = { readonly id: number } & (
  { readonly value: unknown } | { readonly error: FlatError } | { readonly aborted: true }
)

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

function reviveError({ code, message, context, cause }: FlatError): Error {
  if (code !== null) return new SealiftError(code, message, { context, ...(cause === null ? {} : { cause }) })
  return new Error(message, { cause })
}

export interface SqliteWorker extends AsyncDisposable {
  readonly methods: Pick<RecordStore, WorkerMethod>
}

/** @throws unavailable when the database cannot be opened */
export async function openSqliteWorker(settings: SqliteSettings): Promise<SqliteWorker> {
  const client = new WorkerClient(new Worker(workerFile(), { workerData: settings }))
  await client.opened
  const methods = WORKER_METHODS.map(method => [method, (...args: unknown[]) => client.call(method, args)])
  return {
    methods: Object.fromEntries(methods) as Pick<RecordStore, WorkerMethod>,
    [Symbol.asyncDispose]: () => client.close(),
  }
}

/** Beside this file, both in the source and compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./worker.${extension}`, import.meta.url)
}

interface PendingCall {
  resolve(value: unknown): void
  reject(error: unknown): void
  readonly signal: AbortSignal | undefined
}

class WorkerClient {
  /** Resolves once the database is open. */
  readonly opened: Promise<void>
  readonly #worker: Worker
  readonly #exited: Promise<void>
  readonly #pending = new Map<number, PendingCall>()
  #nextId = 1
  #failure: SealiftError | null = null

  constructor(worker: Worker) {
    this.#worker = worker
    this.opened = new Promise((resolve, reject) => {
      this.#pending.set(0, { resolve: () => resolve(), reject, signal: undefined })
    })
    worker.on('message', (message: FromWorker) => this.#settle(message))
    worker.on('error', error => this.#fail(error))
    this.#exited = new Promise(resolve => {
      worker.once('exit', () => {
        this.#fail(undefined)
        resolve()
      })
    })
  }

  async call(method: WorkerMethod, args: readonly unknown[]): Promise<unknown> {
    const last = args.at(-1)
    const signal = last instanceof AbortSignal ? last : undefined
    signal?.throwIfAborted()
    if (this.#failure) throw this.#failure
    const id = this.#nextId++
    const abort = () => this.#post({ abort: id })
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { resolve, reject, signal })
        this.#post({ id, method, args: signal ? args.slice(0, -1) : args, abortable: signal !== undefined })
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** All calls before it become durable first. */
  async close(): Promise<void> {
    this.#post('close')
    await this.#exited
  }

  #post(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage(message)
  }

  #settle(message: FromWorker): void {
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if ('value' in message) pending?.resolve(message.value)
    else pending?.reject('error' in message ? reviveError(message.error) : pending.signal?.reason)
  }

  #fail(cause: unknown): void {
    this.#failure ??= new SealiftError('unavailable', 'The record database was closed or its thread ended', { cause })
    for (const pending of this.#pending.values()) pending.reject(this.#failure)
    this.#pending.clear()
  }
}
