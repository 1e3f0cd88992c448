import { abortReason } from './abort.ts'

interface Waiter {
  readonly units: number
  grant(): void
}

/**
 * Units handed out first come, first served: bytes of buffers in flight, say. Whoever asks for more than there are at
 * all gets all of them, alone.
 */
export class Semaphore {
  readonly capacity: number
  #free: number
  readonly #waiting: Waiter[] = []

  constructor(capacity: number) {
    this.capacity = capacity
    this.#free = capacity
  }

  get free(): number {
    return this.#free
  }

  /** Resolves with the units; disposing them (once or more) gives them back. */
  async acquire(units: number, signal: AbortSignal): Promise<Disposable> {
    const taken = Math.min(units, this.capacity)
    if (signal.aborted) throw abortReason(signal)
    if (this.#waiting.length > 0 || this.#free < taken) await this.#wait(taken, signal)
    else this.#free -= taken
    return this.#lent(taken)
  }

  #wait(units: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        units,
        grant: () => {
          signal.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        this.#serve()
        reject(abortReason(signal))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiter)
    })
  }

  #lent(units: number): Disposable {
    let held = true
    return {
      [Symbol.dispose]: () => {
        if (!held) return
        held = false
        this.#free += units
        this.#serve()
      },
    }
  }

  #serve(): void {
    for (let next = this.#waiting[0]; next && next.units <= this.#free; next = this.#waiting[0]) {
      this.#waiting.shift()
      this.#free -= next.units
      next.grant()
    }
  }
}
