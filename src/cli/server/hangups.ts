/** SIGHUP, heard from when this is made: one that comes while the server starts must not end it. */
export class Hangups implements Disposable {
  #listener: (() => void) | null = null
  #isMissed = false
  readonly #hear = (): void => {
    if (this.#listener) this.#listener()
    else this.#isMissed = true
  }

  constructor() {
    process.on('SIGHUP', this.#hear)
  }

  /** Calls `listener` at each one, and at once for those that came before. */
  tellTo(listener: () => void): void {
    this.#listener = listener
    if (this.#isMissed) listener()
    this.#isMissed = false
  }

  [Symbol.dispose](): void {
    process.off('SIGHUP', this.#hear)
  }
}
