/**
 * Blobs in an S3-compatible service: one object per part, `<prefix>media/<blob id>/<part index>`. Only the records know
 * which parts a blob has and whether it is complete.
 *
 * What it writes, in which order:
 * - a part: one PUT of the whole object; the service's 200 is what makes it durable;
 * - complete: nothing. It compares the stored parts with what must be there, and deletes parts past the end;
 * - delete: a list of the blob's objects, then a DELETE of each.
 *
 * What a crash leaves, and who cleans:
 * - objects of a blob without a record (begun, or deleted and purged): the sweeper's orphan pass, after its grace time;
 * - a tombstone whose objects are partly there: the sweeper deletes the blob again;
 * - a PUT whose outcome is unknown: the object, or none; the sender repeats the part with the same bytes;
 * - objects past the end of a complete blob, or of a deleted one (a client stored them by a presigned URL): the
 *   sweeper, when the URL has expired;
 * - an object below `<prefix>probe/`: removed by the next start-up probe.
 */
import { randomBytes } from 'node:crypto'

import { BoundedMap } from '../../../common/bounded-map.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import type {
  BlobAddress,
  BlobId,
  BlobStore,
  BlobRange,
  ByteSink,
  ChecksBlobs,
  DirectRequest,
  DirectUpload,
  GrantsDirectAccess,
  PartAddress,
  PartName,
  StoredBlob,
  StoredPart,
} from '../blob-store.ts'
import { UrlSigner } from './url-signer.ts'
import { BlockPool } from './gathered-bytes.ts'
import { BufferedPart, type PartMemory } from './buffered-part.ts'
import { groupByBlob, ObjectNames } from './object-names.ts'
import { ByteBudget } from '../../buffers/byte-budget.ts'
import { InFlightParts } from '../in-flight-parts.ts'
import { partBytesAt } from '../part-size.ts'
import { readParts } from './read-parts.ts'
import { ReceiveMemory } from './receive-memory.ts'
import { RetryBudget, type RetryPolicy } from './request-retries.ts'
import { createS3Client, REQUEST_TIMEOUT_MS, type S3Connection } from './s3-client.ts'
import { S3Service } from './s3-service.ts'

const MEMORY_BYTES = 64 * 2 ** 20
const RECEIVE_BYTES = 4 * 2 ** 20
const TRIES = 4
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 3000
const RETRY_BUDGET = 100

export interface S3BlobStoreOptions extends S3Connection {
  /** Where clients reach the service, for `GrantsDirectAccess`; the endpoint by default. */
  readonly publicEndpoint?: string
  /** Memory for all parts in flight to the service; 64 MiB by default. */
  readonly memoryBytes?: number
  /** Most tries of one call; 4 by default. */
  readonly tries?: number
  /** From 0 to below 1; `Math.random` by default. */
  readonly random?: () => number
}

export type S3BlobStore = BlobStore & ChecksBlobs & GrantsDirectAccess

/** Sends no request; `probeS3` and the store's own `probe` do. */
export function openS3BlobStore(options: S3BlobStoreOptions): S3BlobStore {
  return new ObjectsBlobStore(options)
}

class ObjectsBlobStore implements S3BlobStore {
  readonly measures = 'sum'
  readonly #service: S3Service
  readonly #names: ObjectNames
  readonly #direct: UrlSigner
  readonly #partMemory: PartMemory
  readonly #inFlight = new InFlightParts<null>({ open: () => null, close: () => undefined })
  readonly #onePart = new OnePartBlobs()
  readonly #stop = new AbortController()
  readonly #destroy: () => void

  constructor(options: S3BlobStoreOptions) {
    const client = createS3Client(options)
    const memory = new ReceiveMemory(RECEIVE_BYTES)
    const reader = createS3Client(options, { receive: memory })
    const signer = createS3Client({ ...options, endpoint: options.publicEndpoint ?? options.endpoint })
    this.#service = new S3Service({ client, reader, memory, bucket: options.bucket, retry: policyOf(options) })
    this.#names = new ObjectNames(options.prefix)
    this.#direct = new UrlSigner({ client: signer, bucket: options.bucket, names: this.#names })
    this.#partMemory = { memory: new ByteBudget(() => options.memoryBytes ?? MEMORY_BYTES), blocks: new BlockPool() }
    this.#destroy = () => {
      client.destroy()
      reader.destroy()
      signer.destroy()
    }
  }

  async putPart(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    return this.#inFlight.run(part.blobId, async (_, stopped) => {
      this.#onePart.begun(part)
      const sizeBytes = await this.#store(part, source, AbortSignal.any([signal, stopped]))
      this.#onePart.stored(part, sizeBytes)
      return sizeBytes
    })
  }

  async read(blob: BlobAddress, range: BlobRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (range.end <= range.start) return
    await readParts({ service: this.#service, names: this.#names }, { blob, range, sink }, signal)
  }

  async complete(blob: BlobAddress, sizeBytes: number): Promise<void> {
    const { blobId, partBytes } = blob
    await this.#inFlight.stop(blobId, new SealiftError('upload_complete', 'The upload was completed without this part'))
    if (this.#onePart.takeComplete(blob, sizeBytes)) return
    const listed = await this.#partSizes(blobId)
    const count = Math.ceil(sizeBytes / partBytes)
    for (let index = 0; index < count; index += 1) {
      const expectedBytes = partBytesAt({ partBytes, sizeBytes }, index)
      if (listed.get(index) !== expectedBytes) await this.#assertPart({ blobId, index }, expectedBytes)
      listed.delete(index)
    }
    for (const index of listed.keys()) await this.#service.delete(this.#names.part(blobId, index), this.#stop.signal)
  }

  async delete(blobId: BlobId): Promise<void> {
    await this.#inFlight.stop(blobId, new SealiftError('gone', 'The media item was deleted'))
    this.#onePart.forget(blobId)
    const indices = [...(await this.#partSizes(blobId)).keys()]
    await forEachConcurrently(indices, index =>
      this.#service.delete(this.#names.part(blobId, index), this.#stop.signal),
    )
  }

  list(signal: AbortSignal): AsyncIterable<StoredBlob> {
    return groupByBlob(this.#names, this.#service.list(this.#names.media, signal))
  }

  async stat(blobId: BlobId): Promise<StoredBlob | null> {
    const objects = this.#service.list(this.#names.blob(blobId), this.#stop.signal)
    for await (const blob of groupByBlob(this.#names, objects)) return blob
    return null
  }

  presignPart({ blobId, index }: PartName, upload: DirectUpload): Promise<DirectRequest> {
    return this.#direct.upload(blobId, index, upload)
  }

  presignRead({ blobId, index }: PartName, ttlMs: number): Promise<DirectRequest> {
    return this.#direct.download(blobId, index, ttlMs)
  }

  statPart({ blobId, index }: PartName, signal: AbortSignal): Promise<StoredPart | null> {
    return this.#service.head(this.#names.part(blobId, index), signal)
  }

  async probe(): Promise<void> {
    const name = `${this.#names.probe}${randomBytes(8).toString('hex')}`
    const { signal } = this.#stop
    const sent = randomBytes(16)
    try {
      await this.#service.put(name, { sizeBytes: sent.length, open: () => sent }, signal)
      const received = await this.#service.getWhole(name, sent.length, signal)
      if (!received.equals(sent))
        throw new SealiftError('unavailable', 'The S3 storage returns other bytes than were stored')
    } finally {
      await this.#service.delete(name, signal)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new SealiftError('shutting_down', 'The server is stopping')
    await this.#inFlight.stopAll(reason)
    this.#stop.abort(reason)
    this.#destroy()
  }

  async #store(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const name = this.#names.part(part.blobId, part.index)
    await using outgoing = new BufferedPart(this.#partMemory, part, source, signal)
    if (await outgoing.buffer()) {
      await this.#service.put(name, outgoing.buffered(), signal)
      outgoing.sent()
      return outgoing.sizeBytes
    }
    try {
      await this.#service.putOnce(name, outgoing.streamed(), signal)
    } catch (error) {
      signal.throwIfAborted()
      throw outgoing.failure ? outgoing.failure.error : error
    }
    return outgoing.sizeBytes
  }

  /**
   * For a part that is missing from the list or has another size there: some services return a stale list. @throws
   * damaged
   */
  async #assertPart({ blobId, index }: PartName, expectedBytes: number): Promise<void> {
    const part = await this.#service.head(this.#names.part(blobId, index), this.#stop.signal)
    const storedBytes = part?.sizeBytes ?? 0
    if (storedBytes !== expectedBytes) throw wrongPart(index, storedBytes, expectedBytes)
  }

  async #partSizes(blobId: BlobId): Promise<Map<number, number>> {
    const sizes = new Map<number, number>()
    for await (const { name, sizeBytes } of this.#service.list(this.#names.blob(blobId), this.#stop.signal)) {
      const parsed = this.#names.parse(name)
      if (parsed) sizes.set(parsed.index, sizeBytes)
    }
    return sizes
  }
}

function policyOf(options: S3BlobStoreOptions): RetryPolicy {
  return {
    tries: options.tries ?? TRIES,
    firstDelayMs: FIRST_DELAY_MS,
    maxDelayMs: MAX_DELAY_MS,
    tryTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    budget: new RetryBudget(RETRY_BUDGET),
    random: options.random ?? Math.random,
  }
}

const DELETES_IN_FLIGHT = 8

/** Runs `work` for all items, a few at a time. The first failure stops the rest. */
async function forEachConcurrently<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const remaining = items.values()
  const worker = async (): Promise<void> => {
    for (const item of remaining) await work(item)
  }
  await Promise.all(Array.from({ length: DELETES_IN_FLIGHT }, worker))
}

function wrongPart(index: number, storedBytes: number, expectedBytes: number): SealiftError {
  return new SealiftError(
    'damaged',
    `Part ${index} has ${storedBytes} bytes in the store where ${expectedBytes} must be`,
  )
}

/** Blobs remembered by `OnePartBlobs`. */
const REMEMBERED_BLOBS = 10_000

/**
 * Sizes of blobs whose first part, and no other, was stored by this process: completing one of them needs no request.
 * Any other blob is listed.
 */
class OnePartBlobs {
  /** `null`: it has other parts. */
  readonly #sizes = new BoundedMap<BlobId, number | null>(REMEMBERED_BLOBS)

  begun({ blobId, index }: PartAddress): void {
    if (index > 0) this.#sizes.set(blobId, null)
    else if (this.#sizes.get(blobId) !== null) this.#sizes.delete(blobId)
  }

  stored({ blobId, index }: PartAddress, sizeBytes: number): void {
    if (index === 0 && this.#sizes.get(blobId) !== null) this.#sizes.set(blobId, sizeBytes)
  }

  /** True once: repeating `complete` looks at the service. */
  takeComplete({ blobId, partBytes }: BlobAddress, sizeBytes: number): boolean {
    const isComplete = sizeBytes > 0 && sizeBytes <= partBytes && this.#sizes.get(blobId) === sizeBytes
    if (isComplete) this.#sizes.delete(blobId)
    return isComplete
  }

  forget(blobId: BlobId): void {
    this.#sizes.delete(blobId)
  }
}
