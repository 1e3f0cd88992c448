import { RefCounts } from '../../common/ref-counts.ts'
import type { BlobId } from './blob-store.ts'

/** What all parts of a blob that arrive at the same time share. */
export interface SharedResource<R> {
  open(blobId: BlobId): R
  /** Called once the last of them has ended. */
  close(blobId: BlobId, resource: R): Promise<void> | void
}

interface InFlight<R> {
  readonly resource: R
  readonly stop: AbortController
  readonly idle: PromiseWithResolvers<void>
}

/** The parts that this process receives now, by blob. Completing or deleting a blob stops them. */
export class InFlightParts<R> {
  readonly #shared: SharedResource<R>
  readonly #blobs = new RefCounts<BlobId, InFlight<R>>()

  constructor(shared: SharedResource<R>) {
    this.#shared = shared
  }

  /** Runs `store` with a signal that aborts when the blob is completed or deleted. */
  async run<T>(blobId: BlobId, store: (resource: R, stopped: AbortSignal) => Promise<T>): Promise<T> {
    const ref = this.#blobs.acquire(blobId, () => this.#begin(blobId), isRunning)
    const { resource, stop, idle } = ref.value
    try {
      return await store(resource, stop.signal)
    } finally {
      if (ref.release()) {
        await this.#shared.close(blobId, resource)
        idle.resolve()
      }
    }
  }

  /** Aborts every part of a blob that is in flight, and waits until each has ended. */
  async stop(blobId: BlobId, reason: Error): Promise<void> {
    const inFlight = this.#blobs.get(blobId)
    if (!inFlight) return
    inFlight.stop.abort(reason)
    await inFlight.idle.promise
  }

  async stopAll(reason: Error): Promise<void> {
    await Promise.all([...this.#blobs.keys()].map(blobId => this.stop(blobId, reason)))
  }

  #begin(blobId: BlobId): InFlight<R> {
    return { resource: this.#shared.open(blobId), stop: new AbortController(), idle: Promise.withResolvers() }
  }
}

function isRunning({ stop }: InFlight<unknown>): boolean {
  return !stop.signal.aborted
}
