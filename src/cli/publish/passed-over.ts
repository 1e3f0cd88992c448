import { isSealiftError } from '../../client/node/index.ts'

/**
 * `unfinished`: a hidden or temporary name. `special`: a symbolic link or no file. `unreadable`: it cannot be listed.
 */
export type PassedOverReason = 'unfinished' | 'special' | 'unreadable'

export interface PassedOverEvents {
  readonly onPassedOver: (path: string, reason: PassedOverReason) => void
  readonly onRenamed: (name: string) => void
}

/** Names what is not published, and what is published under another name: once each, for as long as it is there. */
export class PassedOver {
  readonly #events: PassedOverEvents
  #known = new Set<string>()
  #seen = new Set<string>()

  constructor(events: PassedOverEvents) {
    this.#events = events
  }

  /** A look at the folder begins. */
  begin(): void {
    this.#seen = new Set()
  }

  add(path: string, reason: PassedOverReason): void {
    if (this.#isNew(`${reason} ${path}`)) this.#events.onPassedOver(path, reason)
  }

  renamed(name: string): void {
    if (this.#isNew(`renamed ${name}`)) this.#events.onRenamed(name)
  }

  /** The look failed. What vanished while it was listed is there no more; the rest is said. */
  unreadable(error: unknown): void {
    const { path, errno } = isSealiftError(error) ? error.context : {}
    if (typeof path === 'string' && errno !== 'ENOENT') this.add(path, 'unreadable')
    for (const key of this.#seen) this.#known.add(key)
  }

  /** The look is over: what it did not meet is gone. */
  end(): void {
    this.#known = this.#seen
  }

  #isNew(key: string): boolean {
    const isNew = !this.#known.has(key) && !this.#seen.has(key)
    this.#seen.add(key)
    return isNew
  }
}
