/**
 * Several processes that serve one port: the supervisor starts them, starts another for one that dies, and speaks for all
 * on the admin listener. It serves nothing itself, so nothing of a request can hurt it. Workers that lose it end.
 */
import type { Health } from '../../protocol/schemas.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { type AdminAddress, type AdminServer, startAdminServer } from '../telemetry/admin-server.ts'
import { createLogger, describeError, type LoggerOptions } from '../telemetry/logger.ts'
import { CrewMetrics } from './crew-metrics.ts'
import type { WorkerReport } from './messages.ts'
import { prepareWorkers, type WorkerEnd, WorkerProcess } from './worker-process.ts'

/** A process that dies at once is not started in a tight loop. */
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 30_000
/** One that served for this long did not die of how it was started. */
const SETTLED_MS = 60_000
/** Beyond the grace time of transfers: closing stores and connections. */
const STOP_EXTRA_MS = 10_000

export interface SupervisorOptions {
  readonly count: number
  /** Variables of every worker, added to this process's own. */
  readonly workerEnvironment?: Readonly<Record<string, string>>
  /** `null`: no admin listener. */
  readonly admin: AdminAddress | null
  /** How long workers may take to let transfers end. */
  readonly stopGraceMs: () => number
  readonly events: SupervisorEvents
}

export interface SupervisorEvents {
  workerEnded(worker: { pid: number | undefined } & WorkerEnd): void
  failed(what: string, error: unknown): void
}

export interface Supervisor extends AsyncDisposable {
  readonly url: string
  readonly adminUrl: string | null
  /** Every worker reads its configuration again. */
  reload(): void
  /** Resolves when all workers have ended; kills those that do not within the grace time. */
  stop(): Promise<void>
}

/** The first worker could not start; it has told why itself. */
export class WorkerFailed extends Error {
  override readonly name = 'WorkerFailed'
  readonly exitCode: number

  constructor({ code }: WorkerEnd) {
    super('A serving process could not start')
    this.exitCode = code ?? 1
  }
}

/**
 * Starts the workers; resolves when all of them take requests. The first one starts alone, so that the schema is brought
 * up to date, and a mistake told, once.
 * @throws WorkerFailed; the system's error when the admin port cannot be had
 */
export async function superviseWorkers(options: SupervisorOptions): Promise<Supervisor> {
  prepareWorkers()
  const crew = new Crew(options)
  try {
    const url = await crew.startFirst()
    await crew.startOthers()
    const admin = options.admin && (await startAdmin(crew, options.admin, options.events))
    const stop = async () => {
      await crew.stop()
      await admin?.[Symbol.asyncDispose]()
    }
    return { url, adminUrl: admin?.url ?? null, reload: () => crew.reload(), stop, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await crew.stop()
    throw error
  }
}

class Crew {
  readonly #options: SupervisorOptions
  readonly #workers = new Set<WorkerProcess>()
  readonly #restarts = new Set<NodeJS.Timeout>()
  readonly metrics = new CrewMetrics<WorkerProcess>()
  /** False until the first worker listens: until then its end is the caller's to judge. */
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
    // Once it listens, its end is no longer a failed start.
    failed.catch(() => undefined)
    const url = await Promise.race([worker.listening.catch(() => failed), failed])
    this.#started = true
    return url
  }

  async startOthers(): Promise<void> {
    const others = Array.from({ length: this.#options.count - 1 }, () => this.#start())
    await Promise.allSettled(others.map(worker => worker.listening))
  }

  /** A worker that is still starting would die of the signal, or miss it: it is told when it listens. */
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

  /** Fewer than there should be: one has died and its successor does not listen yet. */
  get missing(): number {
    return this.#options.count - this.#workers.size
  }

  async stop(): Promise<void> {
    this.#stopping = true
    for (const restart of this.#restarts) clearTimeout(restart)
    const workers = [...this.#workers]
    for (const worker of workers) worker.signal('SIGTERM')
    const patience = setTimeout(() => {
      for (const worker of this.#workers) worker.signal('SIGKILL')
    }, this.#options.stopGraceMs() + STOP_EXTRA_MS)
    await Promise.all(workers.map(worker => worker.ended))
    clearTimeout(patience)
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
    if (report && this.#workers.has(worker)) this.metrics.note(worker, report.metrics)
    return report
  }
}

function startAdmin(crew: Crew, address: AdminAddress, events: SupervisorEvents): Promise<AdminServer> {
  return startAdminServer({
    address,
    metrics: {
      async read() {
        await crew.reports()
        return crew.metrics.page()
      },
    },
    health: { readiness: async () => worst(await crew.reports(), crew.missing) },
    onError: error => events.failed('admin listener', error),
  })
}

const WORST_FIRST = ['failing', 'degraded', 'ok'] as const

/** Ready is who can serve all that comes: every worker must be there and well. */
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
