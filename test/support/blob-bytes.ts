import { newId } from '../../src/protocol/ids.ts'
import { randomBytes } from 'node:crypto'

import type { BlobAddress, BlobStore, BlobRange, ByteSink } from '../../src/server/blobs/blob-store.ts'

export const freshId = (): string => newId(randomBytes)

/** Never aborts. */
export const steady = (): AbortSignal => new AbortController().signal

/** Yields `bytes` in pieces of `pieceBytes`, each in memory of its own, as a connection does. */
export async function* piecesOf(bytes: Uint8Array, pieceBytes = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += pieceBytes) {
    yield new Uint8Array(bytes.subarray(from, from + pieceBytes))
  }
}

/** Keeps a copy of all it is given, and takes its time about it. */
export class CollectingSink implements ByteSink {
  readonly #taken: Buffer[] = []
  outstanding = 0
  mostOutstanding = 0

  async write(bytes: Uint8Array): Promise<void> {
    this.outstanding += 1
    this.mostOutstanding = Math.max(this.mostOutstanding, this.outstanding)
    await new Promise(resolve => setImmediate(resolve))
    // Copied only now: until this resolves, the memory must stay as it is.
    this.#taken.push(Buffer.from(bytes))
    this.outstanding -= 1
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#taken)
  }
}

/** Everything in `range`, through the store's `read`. */
export async function readBytes(store: BlobStore, blob: BlobAddress, range: BlobRange): Promise<Buffer> {
  const sink = new CollectingSink()
  await store.read(blob, range, sink, steady())
  return sink.bytes
}

/** Stores `bytes` as parts, without completing. */
export async function storeParts(store: BlobStore, blob: BlobAddress, bytes: Uint8Array): Promise<void> {
  const { partBytes } = blob
  const indices = Array.from({ length: Math.ceil(bytes.length / partBytes) }, (_, index) => index)
  await Promise.all(
    indices.map(index => {
      const part = bytes.subarray(index * partBytes, (index + 1) * partBytes)
      return store.putPart({ ...blob, index, sizeBytes: part.length }, piecesOf(part), steady())
    }),
  )
}

/** A complete blob with these bytes. */
export async function storeBlob(store: BlobStore, bytes: Uint8Array, partBytes = 256 * 1024): Promise<BlobAddress> {
  const blob = { blobId: freshId(), partBytes }
  await storeParts(store, blob, bytes)
  await store.complete(blob, bytes.length)
  return blob
}
