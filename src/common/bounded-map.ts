/**
 * A map of at most `capacity` entries: a new key beyond them drops the oldest. Setting a key again makes it the newest.
 */
export class BoundedMap<K, V> {
  readonly #capacity: number
  /** Oldest first. */
  readonly #entries = new Map<K, V>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#entries.size
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  /** Leaves the order as it is: costs no more than `Map.get`. */
  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  /** As `get`, and makes the entry the newest, so that the entry dropped next is the least recently used one. */
  touch(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: K, value: V): void {
    if (!this.#entries.delete(key) && this.#entries.size >= this.#capacity) this.#dropOldest()
    this.#entries.set(key, value)
  }

  /** The value of `key`, computed when it is not there. */
  getOrSet(key: K, compute: (key: K) => V & NonNullable<unknown>): V {
    const known = this.#entries.get(key)
    if (known !== undefined) return known
    const value = compute(key)
    this.set(key, value)
    return value
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }

  #dropOldest(): void {
    const oldest = this.#entries.keys().next()
    if (oldest.done === false) this.#entries.delete(oldest.value)
  }
}
