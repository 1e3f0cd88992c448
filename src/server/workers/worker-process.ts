/** A worker process: as the supervisor sees it, and its own link to the supervisor. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'

import type { Health } from '../../protocol/schemas.ts'
import type { MetricsSnapshot } from '../telemetry/metrics.ts'

/** Metrics and health of one worker. */
export interface WorkerReport {
  readonly metrics: MetricsSnapshot
  readonly readiness: Health
}

type ToWorker = { readonly ask: 'report'; readonly id: number }

type FromWorker =
  | { readonly event: 'listening'; readonly url: string }
  | { readonly event: 'report'; readonly id: number; readonly report: WorkerReport }

/** Longer than a worker waits for the probe of a store, so that a healthy worker can report a store that hangs. */
const REPORT_TIMEOUT_MS = 8000

/**
 * Where each core has a process of its own, threads that collect garbage take time from requests; collecting less often
 * pays (decision 8). Of contradicting flags V8 applies the last.
 */
const GARBAGE_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=4']

export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** Sets how workers are started. Call it before the first one. */
export function prepareWorkers(): void {
  cluster.setupPrimary({ execArgv: [...process.execArgv, ...GARBAGE_FLAGS] })
}

export class WorkerProcess {
  readonly #worker: Worker
  readonly #reports = new Map<number, (report: WorkerReport) => void>()
  readonly #listening = Promise.withResolvers<string>()
  readonly #ended: Promise<WorkerEnd>
  #lastId = 0

  /** @param environment added to the supervisor's own */
  constructor(environment: Readonly<Record<string, string>> = {}) {
    this.#worker = cluster.fork(environment)
    this.#worker.on('message', (message: unknown) => this.#receive(message))
    this.#ended = endOf(this.#worker)
    // The rejection is handled even if `listening` is never read.
    this.#listening.promise.catch(() => undefined)
    void this.#ended.then(() => this.#listening.reject(new Error('The process ended before it listened')))
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** The URL it listens at; rejects when it ends before. */
  get listening(): Promise<string> {
    return this.#listening.promise
  }

  get ended(): Promise<WorkerEnd> {
    return this.#ended
  }

  signal(name: 'SIGTERM' | 'SIGHUP' | 'SIGKILL'): void {
    this.#worker.process.kill(name)
  }

  /** `null` when the worker does not respond in time. */
  async report(): Promise<WorkerReport | null> {
    const id = (this.#lastId += 1)
    const { promise, resolve } = Promise.withResolvers<WorkerReport | null>()
    const timer = setTimeout(() => resolve(null), REPORT_TIMEOUT_MS)
    this.#reports.set(id, resolve)
    void this.#ended.then(() => resolve(null))
    if (this.#worker.isConnected()) this.#worker.send({ ask: 'report', id } satisfies ToWorker)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      this.#reports.delete(id)
    }
  }

  #receive(message: unknown): void {
    if (!isFromWorker(message)) return
    if (message.event === 'listening') this.#listening.resolve(message.url)
    else this.#reports.get(message.id)?.(message.report)
  }
}

async function endOf(worker: Worker): Promise<WorkerEnd> {
  const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null]
  return { code, signal }
}

/** A worker's connection to its supervisor. The process can end only after it is disposed. */
export interface SupervisorLink extends Disposable {
  /** Call it once the server listens. `report` never rejects. */
  announce(url: string, report: () => Promise<WorkerReport>): void
}

/** `null` in a process that has no supervisor. */
export function linkToSupervisor(): SupervisorLink | null {
  if (!cluster.isWorker) return null
  return {
    announce(url, report) {
      process.on('message', (message: unknown) => {
        if (!isToWorker(message)) return
        void report().then(content => send({ event: 'report', id: message.id, report: content }))
      })
      send({ event: 'listening', url })
    },
    [Symbol.dispose]: () => cluster.worker?.disconnect(),
  }
}

/** A failure is ignored: this process ends with its supervisor. */
function send(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

function isToWorker(message: unknown): message is ToWorker {
  return typeof message === 'object' && message !== null && 'ask' in message && message.ask === 'report'
}

function isFromWorker(message: unknown): message is FromWorker {
  return typeof message === 'object' && message !== null && 'event' in message
}
