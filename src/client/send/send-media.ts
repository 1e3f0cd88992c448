import { isSealiftError } from '../../protocol/errors.ts'
import { isPartSize } from '../../protocol/parts.ts'
import type { UploadBegun } from '../../protocol/response-readers.ts'
import { createSealer, DEFAULT_CHUNK_BYTES, sealedLength } from '../../sealing/index.ts'
import type { Sealer } from '../../sealing/index.ts'
import { throwIfAborted } from '../concurrency/abort.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { sha256 } from './part-hashing.ts'
import type { SealedMedia } from '../manifest/manifest.ts'
import { notUnderstood } from '../wire/http.ts'
import { beginUpload, completeUpload, readUploadStatus, storeMedia } from '../wire/uploads.ts'
import { LargeSend } from './large-send.ts'
import type { OutgoingMedia, SendContext } from './outgoing-media.ts'
import { PartSealer } from './part-sealer.ts'
import type { JournaledUpload } from './send-journal.ts'

/** What fits into one request is sent in one; also the part size until the server has sent its own. */
export const ONE_REQUEST_BYTES = 8 * 1024 * 1024
/** Parts of a watched media item are small, since receivers can read a part only when it has arrived. */
const WATCHED_PART_BYTES = 256 * 1024

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
  return context.smallBuffers.run(size, signal, async () => {
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
  await media.journal.beginning()
  const { uploadId, mediaId, partBytes, transfer } = await ask(context, media, signal).catch(async (error: unknown) => {
    // An earlier process began it with other terms, and did not receive the response.
    if (!isSealiftError(error, 'idempotency_conflict')) throw error
    await media.journal.restart()
    return ask(context, media, signal)
  })
  if (!isPartSize(partBytes)) throw notUnderstood()
  const upload = { uploadId, mediaId, partBytes, chunkBytes: chunkBytesOf(media) }
  await media.journal.begun(upload)
  return { upload, durable: () => false, direct: transfer === 'direct' }
}

function ask(context: SendContext, media: OutgoingMedia, signal: AbortSignal): Promise<UploadBegun> {
  const { idempotencyKey } = media.journal.secrets
  const partBytes = media.isWatched ? WATCHED_PART_BYTES : undefined
  const sealedBytes = sealedBytesOf(media, chunkBytesOf(media))
  return beginUpload(context.server, { ...context.making, idempotencyKey, sealedBytes, partBytes }, signal)
}

function chunkBytesOf({ chunkBytes = DEFAULT_CHUNK_BYTES }: OutgoingMedia): number {
  return chunkBytes
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
