import { abortReason } from './abort.ts'

interface Waiter {
  readonly units: number
  grant(): void
}

/** Units that are held. */
export interface HeldUnits {
  /** Calling it again does nothing. */
  release(): void
}

/** Units acquired first come, first served. A request for more than the capacity gets the whole capacity. */
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

  /** Runs `work` while it holds `units`. */
  async run<T>(units: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const held = await this.acquire(units, signal)
    try {
      return await work()
    } finally {
      held.release()
    }
  }

  async acquire(units: number, signal: AbortSignal): Promise<HeldUnits> {
    const taken = Math.min(units, this.capacity)
    if (signal.aborted) throw abortReason(signal)
    if (this.#waiting.length > 0 || this.#free < taken) await this.#wait(taken, signal)
    else this.#free -= taken
    return this.#held(taken)
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

  #held(units: number): HeldUnits {
    let isHeld = true
    return {
      release: () => {
        if (!isHeld) return
        isHeld = false
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
