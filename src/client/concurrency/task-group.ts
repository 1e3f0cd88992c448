import { abortReason, asError } from './abort.ts'

/**
 * Tasks of which the first failure aborts the others through `signal`. `join` resolves, or rejects with that first
 * error, when all of them have ended.
 */
export class TaskGroup {
  /** Aborts when a task failed or when the caller's signal does. */
  readonly signal: AbortSignal
  readonly #outer: AbortSignal
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()
  #first: { readonly error: unknown } | null = null

  constructor(outer: AbortSignal) {
    this.#outer = outer
    this.signal = AbortSignal.any([outer, this.#stop.signal])
  }

  spawn(task: (signal: AbortSignal) => Promise<unknown>): void {
    const running = task(this.signal)
      .then(() => undefined)
      .catch((error: unknown) => this.fail(error))
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Ends the group as a failing task would. */
  fail(error: unknown): void {
    this.#first ??= { error: this.#outer.aborted ? abortReason(this.#outer) : error }
    this.#stop.abort(asError(this.#first.error))
  }

  /** Tasks may spawn others until it resolves. */
  async join(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
    if (this.#first) throw this.#first.error
    if (this.#outer.aborted) throw abortReason(this.#outer)
  }
}
