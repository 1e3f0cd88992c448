import type {
  BlobAddress,
  BlobStore,
  BlobRange,
  ByteSink,
  ChecksBlobs,
  MeasuresSpace,
  PartAddress,
  StoredBlob,
} from '../../src/server/blobs/blob-store.ts'

export type BlobVerb = 'putPart' | 'read' | 'complete' | 'delete' | 'stat' | 'freeSpace' | 'probe'

export interface Fault {
  readonly verb: BlobVerb
  /** Which call of this verb, from 1; every call when absent. */
  readonly nth?: number
  /** `before`: the call does nothing. `after`: it took effect, only the response is lost. `before` when absent. */
  readonly when?: 'before' | 'after'
  /** What it rejects with; when absent, the call never responds (it still rejects when its signal aborts). */
  readonly error?: Error
}

/** A blob store that fails, or hangs, where it is told to. */
export class FaultyBlobStore implements BlobStore, MeasuresSpace, ChecksBlobs {
  readonly #inner: BlobStore & MeasuresSpace & ChecksBlobs
  readonly #calls = new Map<BlobVerb, number>()
  /** May be changed at any time. */
  faults: readonly Fault[]

  constructor(inner: BlobStore & MeasuresSpace & ChecksBlobs, faults: readonly Fault[] = []) {
    this.#inner = inner
    this.faults = faults
  }

  get measures(): ChecksBlobs['measures'] {
    return this.#inner.measures
  }

  /** Calls of a verb so far, failed ones included. */
  calls(verb: BlobVerb): number {
    return this.#calls.get(verb) ?? 0
  }

  putPart(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    return this.#call('putPart', () => this.#inner.putPart(part, source, signal), signal)
  }

  read(blob: BlobAddress, range: BlobRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    return this.#call('read', () => this.#inner.read(blob, range, sink, signal), signal)
  }

  complete(blob: BlobAddress, sizeBytes: number): Promise<void> {
    return this.#call('complete', () => this.#inner.complete(blob, sizeBytes))
  }

  delete(blobId: string): Promise<void> {
    return this.#call('delete', () => this.#inner.delete(blobId))
  }

  stat(blobId: string): Promise<StoredBlob | null> {
    return this.#call('stat', () => this.#inner.stat(blobId))
  }

  freeSpace(): ReturnType<MeasuresSpace['freeSpace']> {
    return this.#call('freeSpace', () => this.#inner.freeSpace())
  }

  probe(): Promise<void> {
    return this.#call('probe', () => this.#inner.probe())
  }

  list(signal: AbortSignal): AsyncIterable<StoredBlob> {
    return this.#inner.list(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]()
  }

  async #call<T>(verb: BlobVerb, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const nth = this.calls(verb) + 1
    this.#calls.set(verb, nth)
    const fault = this.faults.find(each => each.verb === verb && (each.nth ?? nth) === nth)
    if (!fault) return work()
    if (fault.when === 'after') await work()
    if (fault.error) throw fault.error
    return never(signal)
  }
}

function never(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
  })
}
