/**
 * Blobs in an S3-compatible service: one object per part, `<prefix>media/<blob id>/<part index>`. Which parts a blob
 * has and whether it is complete is known to the records alone; nothing in the bucket says so.
 *
 * What it writes, in which order:
 * - a part: one PUT of the whole object; the service's 200 is what makes it durable;
 * - complete: nothing. It compares what is there with what must be, and deletes parts past the end;
 * - delete: a list of the blob's objects, then a DELETE of each.
 *
 * What a crash leaves, and who cleans:
 * - objects of a blob without a record (begun, or deleted and purged): the sweeper's orphan pass, after its grace time;
 * - a tombstone whose objects are partly there: the sweeper deletes the blob again;
 * - a PUT whose outcome is unknown: the object, or none; the sender repeats the part with the same bytes;
 * - objects past the end of a complete blob, or of one that was deleted (a client stored them by an address it was given
 *   earlier): the sweeper, when the address has expired;
 * - an object below `<prefix>probe/`: removed by the next start-up probe.
 */
import { randomBytes } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'
import type {
  BlobAddress,
  BlobId,
  BlobStore,
  ByteRange,
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
import { PresignedUrls } from './presigned-urls.ts'
import { BlockPool } from './gathered-bytes.ts'
import { type IncomingMemory, IncomingPart } from './outgoing-part.ts'
import { groupByBlob, ObjectNames } from './object-names.ts'
import { ByteBudget } from '../../buffers/byte-budget.ts'
import { InFlightParts } from '../in-flight-parts.ts'
import { readParts } from './read-parts.ts'
import { ReceiveMemory } from './receive-memory.ts'
import { RetryBudget, type RetryPolicy } from './retry.ts'
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
  /** Memory for parts on their way to the service, all together; 64 MiB by default. */
  readonly memoryBytes?: number
  /** Tries of one call at most; 4 by default. */
  readonly tries?: number
  /** From 0 to below 1; `Math.random` by default. */
  readonly random?: () => number
}

export type S3BlobStore = BlobStore & ChecksBlobs & GrantsDirectAccess

/** Asks the service nothing; `probeS3` and the store's own `probe` do. */
export function openS3BlobStore(options: S3BlobStoreOptions): S3BlobStore {
  return new ObjectsBlobStore(options)
}

class ObjectsBlobStore implements S3BlobStore {
  readonly measures = 'sum'
  readonly #service: S3Service
  readonly #names: ObjectNames
  readonly #direct: PresignedUrls
  readonly #incoming: IncomingMemory
  readonly #onTheirWay = new InFlightParts()
  readonly #small = new SmallBlobs()
  readonly #stop = new AbortController()
  readonly #destroy: () => void

  constructor(options: S3BlobStoreOptions) {
    const client = createS3Client(options)
    const memory = new ReceiveMemory(RECEIVE_BYTES)
    const reader = createS3Client(options, { receive: memory })
    const signer = createS3Client({ ...options, endpoint: options.publicEndpoint ?? options.endpoint })
    this.#service = new S3Service({ client, reader, memory, bucket: options.bucket, retry: policyOf(options) })
    this.#names = new ObjectNames(options.prefix)
    this.#direct = new PresignedUrls({ client: signer, bucket: options.bucket, names: this.#names })
    this.#incoming = { memory: new ByteBudget(() => options.memoryBytes ?? MEMORY_BYTES), blocks: new BlockPool() }
    this.#destroy = () => {
      client.destroy()
      reader.destroy()
      signer.destroy()
    }
  }

  async putPart(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    return this.#onTheirWay.run(part.blobId, async stopped => {
      this.#small.begun(part)
      const sizeBytes = await this.#store(part, source, AbortSignal.any([signal, stopped]))
      this.#small.stored(part, sizeBytes)
      return sizeBytes
    })
  }

  async read(blob: BlobAddress, range: ByteRange, sink: ByteSink, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (range.end <= range.start) return
    await readParts({ service: this.#service, names: this.#names }, { blob, range, sink }, signal)
  }

  async complete(blob: BlobAddress, sizeBytes: number): Promise<void> {
    const { blobId, partBytes } = blob
    await this.#onTheirWay.stop(
      blobId,
      new SealiftError('upload_complete', 'The upload was completed without this part'),
    )
    if (this.#small.takeWhole(blob, sizeBytes)) return
    const listed = await this.#partSizes(blobId)
    const count = Math.ceil(sizeBytes / partBytes)
    for (let index = 0; index < count; index += 1) {
      const expectedBytes = Math.min(partBytes, sizeBytes - index * partBytes)
      if (listed.get(index) !== expectedBytes) await this.#assertPart({ blobId, index }, expectedBytes)
      listed.delete(index)
    }
    for (const index of listed.keys()) await this.#service.delete(this.#names.part(blobId, index), this.#stop.signal)
  }

  async delete(blobId: BlobId): Promise<void> {
    await this.#onTheirWay.stop(blobId, new SealiftError('gone', 'The media was deleted'))
    this.#small.forget(blobId)
    const indices = [...(await this.#partSizes(blobId)).keys()]
    await inLanes(indices, index => this.#service.delete(this.#names.part(blobId, index), this.#stop.signal))
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
      if (!received.equals(sent)) throw new SealiftError('unavailable', 'The S3 storage returns other bytes')
    } finally {
      await this.#service.delete(name, signal)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const reason = new SealiftError('shutting_down', 'The server is stopping')
    await this.#onTheirWay.stopAll(reason)
    this.#stop.abort(reason)
    this.#destroy()
  }

  async #store(part: PartAddress, source: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<number> {
    const name = this.#names.part(part.blobId, part.index)
    await using incoming = new IncomingPart(this.#incoming, part, source, signal)
    if (await incoming.gather()) {
      await this.#service.put(name, incoming.gathered(), signal)
      incoming.sent()
      return incoming.sizeBytes
    }
    try {
      await this.#service.putOnce(name, incoming.passedOn(), signal)
    } catch (error) {
      signal.throwIfAborted()
      throw incoming.failure ? incoming.failure.error : error
    }
    return incoming.sizeBytes
  }

  /** Of one that the listing lacks or has with another size: some services list what was a moment ago. @throws damaged */
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

const DELETES_AT_ONCE = 8

/** One after the other in each of a few lanes. The first failure ends all. */
async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values()
  const lane = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: DELETES_AT_ONCE }, lane))
}

function wrongPart(index: number, storedBytes: number, expectedBytes: number): SealiftError {
  return new SealiftError(
    'damaged',
    `Part ${index} has ${storedBytes} bytes in the store where ${expectedBytes} must be`,
  )
}

const CAPACITY = 10_000

/**
 * Blobs whose first part this process has stored, and no other: completing one of them asks the service nothing. What
 * is forgotten, or was stored through another process, is asked for.
 */
export class SmallBlobs {
  /** `null`: it has other parts. The oldest is forgotten first. */
  readonly #sizes = new Map<BlobId, number | null>()

  begun({ blobId, index }: PartAddress): void {
    if (index > 0) this.#set(blobId, null)
    else if (this.#sizes.get(blobId) !== null) this.#sizes.delete(blobId)
  }

  stored({ blobId, index }: PartAddress, sizeBytes: number): void {
    if (index === 0 && this.#sizes.get(blobId) !== null) this.#set(blobId, sizeBytes)
  }

  /** Told once: whoever completes the blob again has a reason to look. */
  takeWhole({ blobId, partBytes }: BlobAddress, sizeBytes: number): boolean {
    const isWhole = sizeBytes > 0 && sizeBytes <= partBytes && this.#sizes.get(blobId) === sizeBytes
    if (isWhole) this.#sizes.delete(blobId)
    return isWhole
  }

  forget(blobId: BlobId): void {
    this.#sizes.delete(blobId)
  }

  #set(blobId: BlobId, sizeBytes: number | null): void {
    const oldest = this.#sizes.size >= CAPACITY ? this.#sizes.keys().next().value : undefined
    if (oldest !== undefined) this.#sizes.delete(oldest)
    this.#sizes.set(blobId, sizeBytes)
  }
}
