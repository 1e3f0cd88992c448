import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { Sealer } from '../../sealing/index.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { partFingerprint } from './digest.ts'
import type { SealedMedia } from '../manifest.ts'
import type { PartBuffer } from './part-buffers.ts'
import type { PartHash } from './part-hashing.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { deliverPart } from './deliver-part.ts'
import { Flight } from './adaptive-concurrency.ts'
import { PartSealer } from './part-sealer.ts'
import type { PlainPart } from './plain-parts.ts'
import { ReadablePrefix } from './readable-prefix.ts'
import type { JournaledUpload } from './send-journal.ts'
import type { OutgoingMedia, SendContext } from './outgoing-media.ts'

export interface LargeSendOptions {
  readonly context: SendContext
  readonly media: OutgoingMedia
  readonly upload: JournaledUpload
  readonly sealer: Sealer
  readonly durable: (index: number) => boolean
  readonly direct: boolean
}

/**
 * Reads and seals part after part, for the hash over all of them, while earlier ones travel in parallel. A part is
 * begun only when there is room for it in memory.
 */
export class LargeSend {
  readonly #options: LargeSendOptions
  readonly #parts: PartSealer
  readonly #whole: Promise<PartHash>
  readonly #readable = new ReadablePrefix()
  /** Where receivers watch: what they wait for first is to arrive first. */
  readonly #flight: Flight | null
  #sealedBytes = 0
  #dataBytes = 0

  constructor(options: LargeSendOptions) {
    this.#options = options
    this.#parts = new PartSealer(options.sealer, options.upload.partBytes)
    this.#flight = options.media.partBytes === undefined ? null : new Flight()
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
        buffer[Symbol.dispose]()
        throw error
      }
    }
  }

  /** Its buffer is free when it has arrived and is hashed. */
  async #deliver(part: SealedPart, signal: AbortSignal): Promise<void> {
    using _ = part.buffer
    await Promise.all([this.#put(part, signal), part.hashed])
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
    const had = await (this.#flight ? this.#flight.send(deliver) : deliver())
    if (had) media.found(dataBytes)
  }

  /** A part that an earlier process has sent: sealing it again must have given the same bytes. */
  async #compare(part: SealedPart, { before, fingerprint }: { before: string; fingerprint: string }): Promise<void> {
    if (before !== fingerprint) await this.#begunWithOtherBytes()
    this.#options.media.found(part.dataBytes)
  }

  /**
   * A part whose answer an earlier process did not live to see is sent again even when the server has it: the server
   * compares it, and nobody else can.
   */
  async #refused(part: SealedPart, error: unknown): Promise<void> {
    if (!this.#options.durable(part.index)) throw error
    if (isSealiftError(error, 'part_conflict')) return this.#begunWithOtherBytes(error)
    // The earlier process completed the upload, and did not live to see that either.
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
  /** Where it is, given back when it is sent. */
  readonly buffer: PartBuffer
  /** Resolves when it is part of the hash of the whole. */
  readonly hashed: Promise<void>
}
