import type { Awaitable } from './suite.ts'

/**
 * Lets several results be worked on at once and hands them on in the order they were begun, each as soon as those
 * before it are out. At most `parallel` are held.
 */
export class OrderedOutput<T> {
  readonly #parallel: number
  readonly #emit: (result: T) => void
  readonly #fail: (error: unknown) => void
  #waiting: Promise<void>[] = []

  /** @param fail told of the first error; the results behind it are dropped */
  constructor(parallel: number, emit: (result: T) => void, fail: (error: unknown) => void) {
    this.#parallel = parallel
    this.#emit = emit
    this.#fail = fail
  }

  /** Takes a result that may still be on its way. Resolves when there is room for another one. */
  add(result: Awaitable<T>): Awaitable<void> {
    if (!(result instanceof Promise) && this.#waiting.length === 0) return this.#emit(result)
    const before = this.#waiting.at(-1)
    const emitted = this.#emitAfter(before, Promise.resolve(result))
    emitted.catch(this.#fail)
    this.#waiting.push(emitted)
    void emitted.then(() => this.#waiting.shift(), ignore)
    if (this.#waiting.length >= this.#parallel) return this.#waiting[0]
  }

  /** Resolves when everything taken is out; rejects with the first error. */
  async drained(): Promise<void> {
    await Promise.all(this.#waiting)
  }

  async #emitAfter(before: Promise<void> | undefined, result: Promise<T>): Promise<void> {
    // Both at once: a result that fails while an earlier one is still pending must not count as unhandled.
    const [value] = await Promise.all([result, before])
    this.#emit(value)
  }
}

function ignore(): void {}
