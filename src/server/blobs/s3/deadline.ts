/** Bytes that move more slowly than this, on average, do not keep a deadline away. */
const MINIMUM_BYTES_PER_SECOND = 64 * 1024

/** How much time is left for the other side. Bytes that move give some back, never more than the whole. */
export class Deadline {
  readonly #timeoutMs: number
  readonly #expired: () => void
  #timer: NodeJS.Timeout | null = null
  /** By the monotonic clock, while it runs. */
  #atMs = 0
  /** While it stands still. */
  #leftMs: number

  constructor(timeoutMs: number, expired: () => void) {
    this.#timeoutMs = timeoutMs
    this.#expired = expired
    this.#leftMs = timeoutMs
    this.progressed(0)
  }

  /** The other side took or gave `bytes`; from now on it is waited for again. */
  progressed(bytes: number): void {
    const leftMs = this.#timer ? this.#atMs - performance.now() : this.#leftMs
    const earnedMs = (bytes * 1000) / MINIMUM_BYTES_PER_SECOND
    this.#atMs = performance.now() + Math.min(this.#timeoutMs, leftMs + earnedMs)
    this.#timer ??= setTimeout(this.#check, Math.max(1, this.#atMs - performance.now()))
  }

  /** Somebody else is waited for, or nobody. */
  pause(): void {
    if (!this.#timer) return
    this.#leftMs = this.#atMs - performance.now()
    clearTimeout(this.#timer)
    this.#timer = null
  }

  #check = (): void => {
    const leftMs = this.#atMs - performance.now()
    this.#timer = leftMs > 0 ? setTimeout(this.#check, Math.ceil(leftMs)) : null
    if (!this.#timer) this.#expired()
  }
}
