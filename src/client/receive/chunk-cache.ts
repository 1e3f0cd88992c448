/** The opened chunks that were read last, up to `capacity` of them. */
export class ChunkCache {
  readonly #capacity: number
  /** Oldest first. */
  readonly #chunks = new Map<string, Uint8Array<ArrayBuffer>>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get(media: string, chunk: number): Uint8Array<ArrayBuffer> | undefined {
    const name = `${media}/${chunk}`
    const bytes = this.#chunks.get(name)
    if (!bytes) return undefined
    this.#chunks.delete(name)
    this.#chunks.set(name, bytes)
    return bytes
  }

  set(media: string, chunk: number, bytes: Uint8Array<ArrayBuffer>): void {
    this.#chunks.set(`${media}/${chunk}`, bytes)
    const oldest = this.#chunks.keys().next()
    if (this.#chunks.size > this.#capacity && oldest.done === false) this.#chunks.delete(oldest.value)
  }
}
