/**
 * Supervises the worker processes that serve one port: starts them, replaces those that die, and serves the metrics and
 * health of all on the admin listener. It handles no request itself, so no request can crash it. Workers end with it.
 */
import type { Health } from '../../protocol/schemas.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { type AdminAddress, type AdminServer, startAdminServer } from '../telemetry/admin-server.ts'
import { createLogger, describeError, type LoggerOptions } from '../telemetry/logger.ts'
import { aggregateMetrics, countedIn, type MetricsPage, type MetricsSnapshot, sumOf } from '../telemetry/metrics.ts'
import { prepareWorkers, type WorkerEnd, WorkerProcess, type WorkerReport } from './worker-process.ts'

/** Pause before a worker is replaced; it doubles when workers keep dying. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** A worker that served this long did not die of its configuration: the pause starts again. */
const SETTLED_MS = 60_000
/** Added to the grace time of transfers, for closing stores and connections. */
const STOP_EXTRA_MS = 10_000

export interface SupervisorOptions {
  readonly count: number
  /** Environment variables of every worker, added to this process's own. */
  readonly workerEnvironment?: Readonly<Record<string, string>>
  /** `null`: no admin listener. */
  readonly admin: AdminAddress | null
  /** Grace time of running transfers. */
  readonly stopGraceMs: () => number
  readonly events: SupervisorEvents
}

export interface SupervisorEvents {
  workerEnded(worker: { readonly pid: number | undefined } & WorkerEnd): void
  failed(what: string, error: unknown): void
}

export interface Supervisor extends AsyncDisposable {
  readonly url: string
  readonly adminUrl: string | null
  /** Makes every worker reload its configuration. */
  reload(): void
  /** Resolves when all workers have ended; kills those that exceed the grace time. */
  stop(): Promise<void>
}

/** The first worker could not start. It has printed the reason itself. */
export class WorkerFailed extends Error {
  override readonly name = 'WorkerFailed'
  readonly exitCode: number

  constructor({ code }: WorkerEnd) {
    super('A serving process could not start')
    this.exitCode = code ?? 1
  }
}

/**
 * Starts the workers; resolves when all of them listen. The first one starts before the others, so that the schema is
 * migrated once and a wrong configuration is reported once.
 * @throws WorkerFailed; the system's error when the admin port cannot be opened
 */
export async function superviseWorkers(options: SupervisorOptions): Promise<Supervisor> {
  prepareWorkers()
  const workers = new WorkerGroup(options)
  try {
    const url = await workers.startFirst()
    await workers.startOthers()
    const admin = options.admin && (await startAdmin(workers, options.admin, options.events))
    const stop = async () => {
      await workers.stop()
      await admin?.[Symbol.asyncDispose]()
    }
    return { url, adminUrl: admin?.url ?? null, reload: () => workers.reload(), stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await workers.stop()
    throw error
  }
}

class WorkerGroup {
  readonly #options: SupervisorOptions
  readonly #workers = new Set<WorkerProcess>()
  readonly #restarts = new Set<NodeJS.Timeout>()
  readonly metrics = new SummedMetrics<WorkerProcess>()
  /** False until the first worker listens: an earlier end fails the start. */
  #started = false
  #stopping = false
  #pauseMs = FIRST_PAUSE_MS

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  async startFirst(): Promise<string> {
    const worker = this.#start()
    const failed = worker.ended.then(end => {
      throw new WorkerFailed(end)
    })
    // Handled here, since it also rejects when the worker ends later.
    failed.catch(() => undefined)
    const url = await Promise.race([worker.listening.catch(() => failed), failed])
    this.#started = true
    return url
  }

  async startOthers(): Promise<void> {
    const others = Array.from({ length: this.#options.count - 1 }, () => this.#start())
    await Promise.allSettled(others.map(worker => worker.listening))
  }

  /** A worker that is still starting would die of the signal, or miss it: it gets the signal when it listens. */
  reload(): void {
    for (const worker of this.#workers) {
      worker.listening.then(
        () => worker.signal('SIGHUP'),
        () => undefined,
      )
    }
  }

  async reports(): Promise<(WorkerReport | null)[]> {
    return Promise.all([...this.#workers].map(worker => this.#report(worker)))
  }

  /** Workers that have ended and are not replaced yet. */
  get missing(): number {
    return this.#options.count - this.#workers.size
  }

  async stop(): Promise<void> {
    this.#stopping = true
    for (const restart of this.#restarts) clearTimeout(restart)
    const workers = [...this.#workers]
    for (const worker of workers) worker.signal('SIGTERM')
    const killTimer = setTimeout(() => {
      for (const worker of this.#workers) worker.signal('SIGKILL')
    }, this.#options.stopGraceMs() + STOP_EXTRA_MS)
    await Promise.all(workers.map(worker => worker.ended))
    clearTimeout(killTimer)
  }

  #start(): WorkerProcess {
    const worker = new WorkerProcess(this.#options.workerEnvironment)
    this.#workers.add(worker)
    void this.#replace(worker)
    return worker
  }

  async #replace(worker: WorkerProcess): Promise<void> {
    const startedAtMs = performance.now()
    const end = await worker.ended
    this.#workers.delete(worker)
    this.metrics.end(worker)
    if (this.#stopping || !this.#started) return
    this.#options.events.workerEnded({ pid: worker.pid, ...end })
    this.#startAgain(performance.now() - startedAtMs)
  }

  #startAgain(livedMs: number): void {
    this.#pauseMs = livedMs > SETTLED_MS ? FIRST_PAUSE_MS : Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2)
    const restart = setTimeout(() => {
      this.#restarts.delete(restart)
      this.#start()
    }, this.#pauseMs)
    this.#restarts.add(restart)
  }

  async #report(worker: WorkerProcess): Promise<WorkerReport | null> {
    const report = await worker.report()
    if (report && this.#workers.has(worker)) this.metrics.update(worker, report.metrics)
    return report
  }
}

function startAdmin(workers: WorkerGroup, address: AdminAddress, events: SupervisorEvents): Promise<AdminServer> {
  return startAdminServer({
    address,
    metrics: {
      async read() {
        await workers.reports()
        return workers.metrics.page()
      },
    },
    health: { readiness: async () => worst(await workers.reports(), workers.missing) },
    onError: error => events.failed('admin listener', error),
  })
}

const WORST_FIRST = ['failing', 'degraded', 'ok'] as const

/** The server is ready when every worker runs and is ready. */
export function worst(reports: readonly (WorkerReport | null)[], missing: number): Health {
  const checks: NonNullable<Health['checks']> = {}
  for (const report of reports) {
    for (const [name, state] of Object.entries(report?.readiness.checks ?? { workers: 'failing' as const })) {
      checks[name] = WORST_FIRST.find(each => each === state || each === checks[name]) ?? state
    }
  }
  if (missing > 0) checks['workers'] = 'failing'
  const isOk = reports.length > 0 && Object.values(checks).every(state => state !== 'failing')
  return { status: isOk ? 'ok' : 'failing', checks }
}

export function createSupervisorEvents(live: LiveConfig, logTo: LoggerOptions['destination']): SupervisorEvents {
  const logger = createLogger({ live, ...(logTo ? { destination: logTo } : {}) })
  return {
    workerEnded: ({ pid, code, signal }) =>
      logger.error({ pid, exitCode: code, signal }, 'a serving process ended; another is started'),
    failed: (where, error) => logger.error({ where, err: describeError(error, { stack: true }) }, 'unexpected failure'),
  }
}

/**
 * The metrics of all workers as those of one process. The counters of an ended or unresponsive worker still count: a
 * counter that decreases would look like a restart.
 *
 * @typeParam Worker compared by identity
 */
export class SummedMetrics<Worker> {
  readonly #latest = new Map<Worker, MetricsSnapshot>()
  /** Counters of ended workers. */
  #ended: MetricsSnapshot = []
  #lastEnd: Promise<void> = Promise.resolve()

  update(worker: Worker, snapshot: MetricsSnapshot): void {
    this.#latest.set(worker, snapshot)
  }

  end(worker: Worker): void {
    this.#lastEnd = this.#lastEnd.then(() => this.#addEnded(worker))
  }

  async page(): Promise<MetricsPage> {
    await this.#lastEnd
    return aggregateMetrics([...this.#latest.values(), this.#ended])
  }

  async #addEnded(worker: Worker): Promise<void> {
    const snapshot = this.#latest.get(worker) ?? []
    // The worker stays in `#latest` until the sum is ready, so that it counts exactly once.
    this.#ended = await sumOf([this.#ended, countedIn(snapshot)])
    this.#latest.delete(worker)
  }
}
