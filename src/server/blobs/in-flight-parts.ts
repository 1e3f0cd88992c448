import type { BlobId } from './blob-store.ts'

interface Holder {
  readonly stop: AbortController
  readonly idle: PromiseWithResolvers<void>
  users: number
}

/** The blobs that take parts right now in this process, so that sealing or deleting one can cut its parts off. */
export class InFlightParts {
  readonly #holders = new Map<BlobId, Holder>()

  /** Runs `store` with a signal that aborts when the blob is sealed or deleted. */
  async run<T>(blobId: BlobId, store: (stopped: AbortSignal) => Promise<T>): Promise<T> {
    const holder = this.#hold(blobId)
    try {
      return await store(holder.stop.signal)
    } finally {
      this.#release(blobId, holder)
    }
  }

  /** Cuts off every part of a blob that is still on its way, and waits until none is. */
  async stop(blobId: BlobId, reason: Error): Promise<void> {
    const holder = this.#holders.get(blobId)
    if (!holder) return
    holder.stop.abort(reason)
    await holder.idle.promise
  }

  async stopAll(reason: Error): Promise<void> {
    await Promise.all([...this.#holders.keys()].map(blobId => this.stop(blobId, reason)))
  }

  #hold(blobId: BlobId): Holder {
    const known = this.#holders.get(blobId)
    const holder = known && !known.stop.signal.aborted ? known : this.#add(blobId)
    holder.users += 1
    return holder
  }

  #add(blobId: BlobId): Holder {
    const holder = { stop: new AbortController(), idle: Promise.withResolvers<void>(), users: 0 }
    this.#holders.set(blobId, holder)
    return holder
  }

  #release(blobId: BlobId, holder: Holder): void {
    holder.users -= 1
    if (holder.users > 0) return
    if (this.#holders.get(blobId) === holder) this.#holders.delete(blobId)
    holder.idle.resolve()
  }
}
