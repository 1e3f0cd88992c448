/** Readiness: whether stores and limits work. */
import { raceTimeout } from '../../common/abort-race.ts'
import type { Health } from '../../protocol/schemas.ts'
import type { Events } from './events.ts'

export interface HealthOptions {
  /** Required services by name; a probe throws when its service does not work. */
  readonly probes: Readonly<Record<string, () => Promise<void>>>
  /** Optional services by name; true while the server works without one. */
  readonly degraded?: Readonly<Record<string, () => boolean>>
  readonly events: Pick<Events, 'failing' | 'recovered'>
  /** How long a result is cached. */
  readonly cacheMs?: number
  /** A slower probe has failed. */
  readonly timeoutMs?: number
  /** Monotonic ms. */
  readonly now?: () => number
}

export interface HealthCheck {
  /** Never rejects. */
  readiness(): Promise<Health>
  /** From now on the server is not ready, whatever the probes report. */
  stopping(): void
}

export function createHealth(options: HealthOptions): HealthCheck {
  const { probes, degraded = {}, events, cacheMs = 2000, timeoutMs = 5000, now = () => performance.now() } = options
  const watched = Object.entries(probes).map(([name, probe]) => new WatchedProbe({ name, probe, timeoutMs, now }))
  let isStopping = false
  let cached: { readonly at: number; readonly health: Promise<Health> } | null = null
  const look = async (): Promise<Health> => {
    const outcomes = await Promise.all(watched.map(probe => probe.works(events)))
    const checks = Object.fromEntries(
      watched.map(({ name }, index) => [name, outcomes[index] ? 'ok' : 'failing'] as const),
    )
    const notes = Object.entries(degraded).map(
      ([name, isDegraded]) => [name, isDegraded() ? 'degraded' : 'ok'] as const,
    )
    return {
      status: outcomes.every(Boolean) ? 'ok' : 'failing',
      checks: { ...checks, ...Object.fromEntries(notes) },
    }
  }
  return {
    async readiness() {
      if (cached === null || now() - cached.at >= cacheMs) cached = { at: now(), health: look() }
      const health = await cached.health
      return isStopping ? { ...health, status: 'failing', checks: { ...health.checks, running: 'failing' } } : health
    },
    stopping() {
      isStopping = true
    },
  }
}

interface WatchedProbeOptions extends Required<Pick<HealthOptions, 'timeoutMs' | 'now'>> {
  readonly name: string
  readonly probe: () => Promise<void>
}

/** Runs one probe at a time. A hanging probe counts as failing until it returns; it is not started again. */
class WatchedProbe {
  readonly name: string
  readonly #options: WatchedProbeOptions
  #running: Promise<void> | null = null
  #startedAt = 0

  constructor(options: WatchedProbeOptions) {
    this.name = options.name
    this.#options = options
  }

  async works(events: Pick<Events, 'failing' | 'recovered'>): Promise<boolean> {
    const { timeoutMs, now } = this.#options
    const running = this.#run()
    const leftMs = Math.max(0, this.#startedAt + timeoutMs - now())
    try {
      await raceTimeout(running, leftMs, () => new Error(`No response within ${timeoutMs} ms`))
      events.recovered(this.name)
      return true
    } catch (error) {
      events.failing(this.name, error)
      return false
    }
  }

  #run(): Promise<void> {
    if (this.#running === null) {
      this.#startedAt = this.#options.now()
      this.#running = this.#options.probe().finally(() => {
        this.#running = null
      })
    }
    return this.#running
  }
}
