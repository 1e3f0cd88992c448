import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite, Sealer } from '../../sealing/index.ts'
import { toBase64, toBase64Url } from '../bytes/base64url.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import type { DirectOutcome } from '../direct/store-upload.ts'
import type { SealedMedia } from '../manifest/manifest.ts'
import type { Server } from '../wire/http.ts'
import { putPart } from '../wire/uploads.ts'
import type { PartRequest } from '../wire/uploads.ts'
import { AdaptiveConcurrency } from './adaptive-concurrency.ts'
import type { OutgoingMedia, SendContext } from './outgoing-media.ts'
import type { PartBuffer } from '../bytes/buffers.ts'
import { partFingerprint, sha256 } from './part-hashing.ts'
import type { PartHash, PartHashing } from './part-hashing.ts'
import { PartSealer } from './part-sealer.ts'
import type { PlainPart } from './plain-parts.ts'
import type { JournaledUpload } from './send-journal.ts'

export interface LargeSendOptions {
  readonly context: SendContext
  readonly media: OutgoingMedia
  readonly upload: JournaledUpload
  readonly sealer: Sealer
  readonly durable: (index: number) => boolean
  readonly direct: boolean
}

/**
 * Reads and seals part after part, for the hash over all of them, while earlier parts are in flight. A part is begun
 * only when there is a buffer for it.
 */
export class LargeSend {
  readonly #options: LargeSendOptions
  readonly #parts: PartSealer
  readonly #whole: Promise<PartHash>
  readonly #readable = new ReadablePrefix()
  /** For a watched media item, whose parts should arrive in order. */
  readonly #concurrency: AdaptiveConcurrency | null
  #sealedBytes = 0
  #dataBytes = 0

  constructor(options: LargeSendOptions) {
    this.#options = options
    this.#parts = new PartSealer(options.sealer, options.upload.partBytes)
    this.#concurrency = options.media.isWatched ? new AdaptiveConcurrency() : null
    this.#whole = options.context.hashing.start()
    this.#whole.catch(() => undefined)
  }

  async run(signal: AbortSignal): Promise<Pick<SealedMedia, 'bytes' | 'sealedBytes' | 'sha256'>> {
    const group = new TaskGroup(signal)
    group.spawn(() => this.#sealAll(group))
    await group.join()
    const digest = await (await this.#whole).digest()
    return { bytes: this.#dataBytes, sealedBytes: this.#sealedBytes, sha256: toBase64Url(digest) }
  }

  async #sealAll(group: TaskGroup): Promise<void> {
    const { context, media, upload } = this.#options
    for (let index = 0, last = false; !last; index += 1) {
      const buffer = await context.partBuffers.acquire(upload.partBytes, group.signal)
      try {
        const plain = await media.parts.next(this.#parts.plainRoom(index, buffer.bytes), group.signal)
        last = plain.last
        const sealed = await this.#parts.seal(index, buffer.bytes, plain)
        this.#sealedBytes += sealed.byteLength
        this.#dataBytes += plain.dataBytes
        const hashed = (await this.#whole).update(sealed)
        group.spawn(signal => this.#deliver({ ...plain, index, sealed, buffer, hashed }, signal))
      } catch (error) {
        buffer.release()
        throw error
      }
    }
  }

  async #deliver(part: SealedPart, signal: AbortSignal): Promise<void> {
    try {
      await Promise.all([this.#put(part, signal), part.hashed])
    } finally {
      part.buffer.release()
    }
    const readable = this.#readable.arrived(part.index, part.dataBytes)
    if (!part.last) this.#options.media.readable?.(readable)
  }

  async #put(part: SealedPart, signal: AbortSignal): Promise<void> {
    const { context, media, upload, durable } = this.#options
    const fingerprint = toBase64Url(partFingerprint(context.suite, part.sealed, upload.chunkBytes))
    const before = media.journal.finishedParts.get(part.index)
    if (durable(part.index) && before !== undefined) return this.#compare(part, { before, fingerprint })
    await this.#transfer(part, signal).catch((error: unknown) => this.#refused(part, error))
    await media.journal.partFinished(part.index, fingerprint)
  }

  async #transfer({ index, sealed, dataBytes }: SealedPart, signal: AbortSignal): Promise<void> {
    const { context, media, upload, direct } = this.#options
    const outgoing = { uploadId: upload.uploadId, index, sealed, onSent: media.moved }
    const deliver = (): Promise<boolean> => deliverPart({ ...context, direct }, outgoing, signal)
    const had = await (this.#concurrency ? this.#concurrency.send(deliver) : deliver())
    if (had) media.found(dataBytes)
  }

  /** A part that an earlier process has sent: sealing it again must have given the same bytes. */
  async #compare(part: SealedPart, { before, fingerprint }: { before: string; fingerprint: string }): Promise<void> {
    if (before !== fingerprint) await this.#begunWithOtherBytes()
    this.#options.media.found(part.dataBytes)
  }

  /**
   * A part whose response an earlier process did not receive is sent again even when the server has it, because only
   * the server can compare it.
   */
  async #refused(part: SealedPart, error: unknown): Promise<void> {
    if (!this.#options.durable(part.index)) throw error
    if (isSealiftError(error, 'part_conflict')) return this.#begunWithOtherBytes(error)
    // The earlier process completed the upload, and did not receive that response either.
    if (!isSealiftError(error, 'upload_complete')) throw error
    this.#options.media.found(part.dataBytes)
  }

  async #begunWithOtherBytes(cause?: unknown): Promise<never> {
    await this.#options.media.journal.restart()
    const message = 'The file is not what it was when sending it began: send it again'
    throw new SealiftError('file_changed', message, { cause })
  }
}

interface SealedPart extends PlainPart {
  readonly index: number
  readonly sealed: Uint8Array<ArrayBuffer>
  /** The buffer that holds it, released when it is sent and hashed. */
  readonly buffer: PartBuffer
  /** Resolves when it is part of the hash of the whole. */
  readonly hashed: Promise<void>
}

export interface PartDelivery {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly hashing: Pick<PartHashing, 'md5'>
  /** Whether the server compares what passes it with a digest. */
  readonly digests: boolean
  /** Whether parts may go straight to the store. */
  readonly direct: boolean
}

export type OutgoingPart = Omit<PartRequest, 'sha256'>

/**
 * Makes one part durable, straight into the store or else through the server.
 * @returns true when the server had it already, and nothing was sent
 */
export async function deliverPart(delivery: PartDelivery, part: OutgoingPart, signal: AbortSignal): Promise<boolean> {
  const outcome = delivery.direct ? await intoStore(delivery, part, signal) : 'refused'
  if (outcome !== 'refused') return outcome === 'had'
  const digest = delivery.digests ? await sha256(delivery.suite, part.sealed) : null
  await putPart(delivery.server, { ...part, sha256: digest }, signal)
  return false
}

async function intoStore(
  { server, hashing }: PartDelivery,
  { sealed, onSent, ...place }: OutgoingPart,
  signal: AbortSignal,
): Promise<DirectOutcome> {
  const { store } = server
  if (!store?.isOpen) return 'refused'
  // Loaded when it is needed; a page that cannot load it sends through the server.
  const loaded = await import('../direct/store-upload.ts').catch(() => null)
  if (!loaded) return 'refused'
  const part = { ...place, sizeBytes: sealed.byteLength, md5: toBase64(await hashing.md5(sealed)) }
  return loaded.sendPartDirectly(server, store, { part, sealed, onSent }, signal)
}

/** How many bytes from the first on have arrived without a gap, while parts arrive in any order. */
export class ReadablePrefix {
  readonly #arrived = new Map<number, number>()
  #next = 0
  #bytes = 0

  /** Part `index` has arrived; it holds `bytes`. Returns the bytes before the first gap. */
  arrived(index: number, bytes: number): number {
    this.#arrived.set(index, bytes)
    for (let held = this.#arrived.get(this.#next); held !== undefined; held = this.#arrived.get(this.#next)) {
      this.#arrived.delete(this.#next)
      this.#bytes += held
      this.#next += 1
    }
    return this.#bytes
  }
}
