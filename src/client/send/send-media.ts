import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { UploadBegun } from '../../protocol/schemas.ts'
import { createSealer, DEFAULT_CHUNK_BYTES, sealedLength } from '../../sealing/index.ts'
import type { CryptoSuite, Role, Sealer } from '../../sealing/index.ts'
import { throwIfAborted } from '../abort.ts'
import { toBase64Url } from '../base64url.ts'
import { partFingerprint, sha256 } from '../digest.ts'
import type { SealedMedia } from '../manifest.ts'
import type { PartBuffer, PartBuffers } from '../part-buffers.ts'
import type { PartHash, PartHashing } from '../part-hashing.ts'
import type { Semaphore } from '../semaphore.ts'
import { TaskGroup } from '../task-group.ts'
import { notUnderstood } from '../wire/http.ts'
import type { Server } from '../wire/http.ts'
import { beginUpload, completeUpload, readUploadStatus, storeMedia } from '../wire/uploads.ts'
import type { Making } from '../wire/uploads.ts'
import { deliverPart } from './deliver-part.ts'
import { Flight } from './flight.ts'
import { PartSealer } from './part-sealer.ts'
import type { PlainPart, PlainParts } from './plain-parts.ts'
import { ReadablePrefix } from './readable-prefix.ts'
import type { ItemJournal, JournaledUpload } from './send-journal.ts'

/** What fits into one request goes in one; also the size of a part for as long as the server has not told its own. */
export const ONE_REQUEST_BYTES = 8 * 1024 * 1024

/** What all media of one send share. */
export interface SendContext {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly making: Making
  /** Whether the server is to compare each part with its digest: where nothing else protects it on its way. */
  readonly digests: boolean
  /** Bytes of parts in memory, of large and of small media: neither waits behind the other. */
  readonly partBuffers: PartBuffers
  /** Hashes what lies in those buffers. */
  readonly hashing: PartHashing
  readonly smallBuffers: Semaphore
}

/** One media to send: an item's bytes, or a thumbnail. */
export interface OutgoingMedia {
  readonly role: Role
  readonly parts: PlainParts
  readonly journal: ItemJournal
  /** Begins the upload before anything is read, so that receivers can follow it from the first byte. */
  readonly followable: boolean
  /** Plaintext bytes that moved; fewer than none when they must be moved again. */
  readonly moved: (bytes: number) => void
  /** Plaintext bytes that the server had already. */
  readonly found: (bytes: number) => void
  /** Called when receivers could begin to follow. */
  readonly begun: (media: Begun) => void
  /**
   * Receivers can read so many plaintext bytes from the first on, while others are still on their way. The last part is
   * not told of: until the media is complete, its last chunk cannot be told from one in the middle.
   */
  readonly readable?: (bytes: number) => void
  /** Size of parts that is wished for; the server may give another. */
  readonly partBytes?: number
  /** Size of chunks, of which the default is a multiple. */
  readonly chunkBytes?: number
}

/** What is known of a media that is only beginning. */
export type Begun = Pick<SealedMedia, 'media' | 'key' | 'chunkBytes' | 'commit'> & {
  readonly sealedBytes: number | null
}

/** Seals and sends one media. @throws file_changed; what the server refuses; the abort */
export async function sendMedia(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<SealedMedia> {
  throwIfAborted(signal)
  if (media.journal.stored) return alreadyStored(media, media.journal.stored)
  await media.parts.checkUnchanged()
  try {
    return await sendFresh(context, media, signal)
  } catch (error) {
    await media.parts.cancel(error)
    throw error
  }
}

function alreadyStored(media: OutgoingMedia, stored: SealedMedia): SealedMedia {
  media.found(stored.bytes)
  return stored
}

async function sendFresh(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<SealedMedia> {
  const begun = media.journal.upload !== null || media.followable
  const sealer = await sealerFor(context, media, DEFAULT_CHUNK_BYTES)
  const capacity = new PartSealer(sealer, ONE_REQUEST_BYTES).plainBytes(0)
  if (!begun && (await media.parts.endsWithin(capacity, signal))) return sendSmall(context, { media, sealer }, signal)
  return sendLarge(context, media, signal)
}

function sealerFor(context: SendContext, { journal, role }: OutgoingMedia, chunkBytes: number): Promise<Sealer> {
  const { key, salt, noncePrefix } = journal.secrets
  return createSealer({ suite: context.suite, key, salt, noncePrefix, role, chunkBytes })
}

async function sendSmall(
  context: SendContext,
  { media, sealer }: { media: OutgoingMedia; sealer: Sealer },
  signal: AbortSignal,
): Promise<SealedMedia> {
  const parts = new PartSealer(sealer, ONE_REQUEST_BYTES)
  const size = parts.plainOffset(0) + (media.parts.paddedBytes ?? 0)
  using _ = await context.smallBuffers.acquire(size, signal)
  const buffer = new Uint8Array(size)
  const plain = await media.parts.next(buffer.subarray(parts.plainOffset(0)), signal)
  const sealed = await parts.seal(0, buffer, plain)
  await media.parts.checkUnchanged()
  const digest = await sha256(context.suite, sealed)
  const { idempotencyKey } = media.journal.secrets
  const request = { ...context.making, idempotencyKey, sealed, sha256: digest, onSent: media.moved }
  const stored = await storeMedia(context.server, request, signal)
  return remember(media, {
    ...describeSealer(media, sealer),
    media: stored.mediaId,
    bytes: plain.dataBytes,
    sealedBytes: sealed.byteLength,
    sha256: toBase64Url(digest),
  })
}

async function sendLarge(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<SealedMedia> {
  const { upload, durable, direct } = (await resume(context, media, signal)) ?? (await begin(context, media, signal))
  const sealer = await sealerFor(context, media, upload.chunkBytes)
  media.begun({
    ...describeSealer(media, sealer),
    media: upload.mediaId,
    sealedBytes: sealedBytesOf(media, upload.chunkBytes),
  })
  const sent = await new LargeSend({ context, media, upload, sealer, durable, direct }).run(signal)
  await media.parts.checkUnchanged()
  const { uploadId } = upload
  await completeUpload(context.server, { uploadId, sealedBytes: sent.sealedBytes }, signal)
  return remember(media, { ...describeSealer(media, sealer), media: upload.mediaId, ...sent })
}

interface OpenUpload {
  readonly upload: JournaledUpload
  /** Which parts the server has. */
  readonly durable: (index: number) => boolean
  /** Whether parts may go straight to the store. */
  readonly direct: boolean
}

/** The upload of a send that goes on. `null`: there is none, or the server has dropped it. */
async function resume(
  context: SendContext,
  { journal }: OutgoingMedia,
  signal: AbortSignal,
): Promise<OpenUpload | null> {
  const { upload } = journal
  if (!upload) return null
  try {
    const { parts, partBytes, transfer } = await readUploadStatus(context.server, upload.uploadId, signal)
    if (partBytes !== upload.partBytes) throw notUnderstood()
    const durable = (index: number): boolean => parts.some(([first, last]) => index >= first && index <= last)
    return { upload, durable, direct: transfer === 'direct' }
  } catch (error) {
    if (!isSealiftError(error, 'not_found', 'gone')) throw error
    await journal.restart()
    return null
  }
}

async function begin(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<OpenUpload> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES } = media
  await media.journal.beginning()
  const { uploadId, mediaId, partBytes, transfer } = await ask(context, media, signal).catch(async (error: unknown) => {
    // Begun on other terms by an earlier process, which did not live to see the answer.
    if (!isSealiftError(error, 'idempotency_conflict')) throw error
    await media.journal.restart()
    return ask(context, media, signal)
  })
  // The protocol's word: a part is a whole number of chunks of the default size.
  if (partBytes === 0 || partBytes % DEFAULT_CHUNK_BYTES !== 0) throw notUnderstood()
  const upload = { uploadId, mediaId, partBytes, chunkBytes }
  await media.journal.begun(upload)
  return { upload, durable: () => false, direct: transfer === 'direct' }
}

function ask(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<UploadBegun> {
  const { chunkBytes = DEFAULT_CHUNK_BYTES, partBytes, journal } = media
  const { idempotencyKey } = journal.secrets
  const sealedBytes = sealedBytesOf(media, chunkBytes)
  return beginUpload(context.server, { ...context.making, idempotencyKey, sealedBytes, partBytes }, signal)
}

function sealedBytesOf(media: OutgoingMedia, chunkBytes: number): number | null {
  return media.parts.paddedBytes === null ? null : sealedLength(media.parts.paddedBytes, chunkBytes)
}

function describeSealer(media: OutgoingMedia, sealer: Sealer): Pick<SealedMedia, 'key' | 'chunkBytes' | 'commit'> {
  return {
    key: toBase64Url(media.journal.secrets.key),
    chunkBytes: sealer.chunkBytes,
    commit: toBase64Url(sealer.commit),
  }
}

async function remember(media: OutgoingMedia, sealed: SealedMedia): Promise<SealedMedia> {
  await media.journal.finished(sealed)
  return sealed
}

interface LargeSendOptions {
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
class LargeSend {
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
