/**
 * The metrics of all workers as those of one. What was counted stays counted, also when the worker that counted it has
 * ended, or is too busy to tell: a counter that goes down would be taken for one that began anew.
 */
import { aggregateMetrics, countedIn, type MetricsPage, type MetricsSnapshot, sumOf } from '../telemetry/metrics.ts'

/** @typeParam Worker told apart by identity */
export class CrewMetrics<Worker> {
  readonly #latest = new Map<Worker, MetricsSnapshot>()
  /** Of those that have ended. */
  #ended: MetricsSnapshot = []
  #last: Promise<void> = Promise.resolve()

  /** What a worker that runs has just told. */
  note(worker: Worker, told: MetricsSnapshot): void {
    this.#latest.set(worker, told)
  }

  end(worker: Worker): void {
    this.#last = this.#last.then(() => this.#keep(worker))
  }

  async page(): Promise<MetricsPage> {
    await this.#last
    return aggregateMetrics([...this.#latest.values(), this.#ended])
  }

  async #keep(worker: Worker): Promise<void> {
    const told = this.#latest.get(worker) ?? []
    // Until the sum is there, it counts as before.
    this.#ended = await sumOf([this.#ended, countedIn(told)])
    this.#latest.delete(worker)
  }
}
