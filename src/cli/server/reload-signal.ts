/** Receives SIGHUP from construction on: a signal that arrives while the server starts must not end the process. */
export class ReloadSignal implements Disposable {
  #listener: (() => void) | null = null
  #isMissed = false
  readonly #receive = (): void => {
    if (this.#listener) this.#listener()
    else this.#isMissed = true
  }

  constructor() {
    process.on('SIGHUP', this.#receive)
  }

  /** Calls `listener` at each signal, and at once if one arrived before. */
  setListener(listener: () => void): void {
    this.#listener = listener
    if (this.#isMissed) listener()
    this.#isMissed = false
  }

  [Symbol.dispose](): void {
    process.off('SIGHUP', this.#receive)
  }
}
