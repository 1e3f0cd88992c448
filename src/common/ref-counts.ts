interface Entry<V> {
  readonly value: V
  users: number
}

/** One use of a shared value. */
export interface Ref<V> {
  readonly value: V
  /** @returns true when this was the last use, so that the value can be closed. Releasing it again returns false */
  readonly release: () => boolean
}

/** Values shared by key and counted: the first user makes the value, the last one closes it. */
export class RefCounts<K, V> {
  readonly #entries = new Map<K, Entry<V>>()

  get size(): number {
    return this.#entries.size
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys()
  }

  get(key: K): V | undefined {
    return this.#entries.get(key)?.value
  }

  /** @param isUsable whether a value in use may be shared; else `make` replaces it, and its users retain it */
  acquire(key: K, make: () => V, isUsable: (value: V) => boolean = () => true): Ref<V> {
    const known = this.#entries.get(key)
    const entry = known && isUsable(known.value) ? known : this.#add(key, make())
    entry.users += 1
    let isHeld = true
    const release = (): boolean => {
      const wasHeld = isHeld
      isHeld = false
      return wasHeld && this.#release(key, entry)
    }
    return { value: entry.value, release }
  }

  /** The next user of `key` makes a new value. Its current users retain `value`. */
  retire(key: K, value: V): void {
    if (this.#entries.get(key)?.value === value) this.#entries.delete(key)
  }

  #add(key: K, value: V): Entry<V> {
    const entry = { value, users: 0 }
    this.#entries.set(key, entry)
    return entry
  }

  #release(key: K, entry: Entry<V>): boolean {
    entry.users -= 1
    if (entry.users > 0) return false
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
    return true
  }
}
