interface Shared {
  readonly taking: Promise<Disposable>
  users: number
}

/** Holds of which all users of one key share one: taken for the first, given back after the last. */
export class SharedHolds {
  readonly #holds = new Map<string, Shared>()

  /** @throws what `take` does; when it was another user's that failed, it is tried again. The signal's reason */
  async hold(key: string, take: () => Promise<Disposable>, signal: AbortSignal): Promise<Disposable> {
    for (;;) {
      const known = this.#holds.get(key)
      const shared = known ?? { taking: take(), users: 0 }
      this.#holds.set(key, shared)
      shared.users += 1
      try {
        const held = await shared.taking
        return onlyOnce(() => this.#leave(key, shared, held))
      } catch (error) {
        if (this.#holds.get(key) === shared) this.#holds.delete(key)
        if (!known) throw error
        signal.throwIfAborted()
      }
    }
  }

  #leave(key: string, shared: Shared, held: Disposable): void {
    shared.users -= 1
    if (shared.users > 0) return
    this.#holds.delete(key)
    held[Symbol.dispose]()
  }
}

function onlyOnce(dispose: () => void): Disposable {
  let done = false
  return {
    [Symbol.dispose]() {
      if (!done) dispose()
      done = true
    },
  }
}
