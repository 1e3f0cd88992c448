/** One worker, seen from the supervisor. */
import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'

import { isFromWorker, type ToWorker, type WorkerReport } from './messages.ts'

/** More than a worker allows a store to answer its probe: a store that hangs must be told as that, by a worker that is well. */
const REPORT_WITHIN_MS = 8000

/**
 * Where every core has a process of its own, threads that collect garbage take time from those that serve; then it is
 * worth collecting less often (decision 8). Of two flags that contradict each other, V8 goes by the last.
 */
const GARBAGE_FLAGS = ['--single-threaded-gc', '--max-semi-space-size=4']

export interface WorkerEnd {
  readonly code: number | null
  readonly signal: string | null
}

/** How all workers are started; before the first one. */
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
    this.#worker.on('message', (message: unknown) => this.#hear(message))
    this.#ended = endOf(this.#worker)
    // Whoever never asks for it must not be told of it as unhandled.
    this.#listening.promise.catch(() => undefined)
    void this.#ended.then(() => this.#listening.reject(new Error('The process ended before it listened')))
  }

  get pid(): number | undefined {
    return this.#worker.process.pid
  }

  /** Where it takes requests; rejects when it ends before. */
  get listening(): Promise<string> {
    return this.#listening.promise
  }

  get ended(): Promise<WorkerEnd> {
    return this.#ended
  }

  signal(name: 'SIGTERM' | 'SIGHUP' | 'SIGKILL'): void {
    this.#worker.process.kill(name)
  }

  /** `null` when it does not answer in time. */
  async report(): Promise<WorkerReport | null> {
    const id = (this.#lastId += 1)
    const { promise, resolve } = Promise.withResolvers<WorkerReport | null>()
    const timer = setTimeout(() => resolve(null), REPORT_WITHIN_MS)
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

  #hear(message: unknown): void {
    if (!isFromWorker(message)) return
    if (message.told === 'listening') this.#listening.resolve(message.url)
    else this.#reports.get(message.id)?.(message.report)
  }
}

async function endOf(worker: Worker): Promise<WorkerEnd> {
  const [code, signal] = (await once(worker, 'exit')) as [number | null, string | null]
  return { code, signal }
}
