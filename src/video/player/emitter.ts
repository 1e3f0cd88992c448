/** Listeners by event; each event has one value. */
export class Emitter<Events extends object> {
  readonly #listeners: { [Name in keyof Events]?: Set<(value: Events[Name]) => void> } = {}

  /** @returns what takes the listener away again */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#listeners[name] ?? new Set()
    this.#listeners[name] = listeners
    listeners.add(listener)
    return () => listeners.delete(listener)
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of Array.from(this.#listeners[name] ?? [])) listener(value)
  }
}
