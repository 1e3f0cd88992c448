/** Presigned URLs for what a client fetches from the store itself. */
import { SealiftError } from '../../../protocol/errors.ts'
import { isId, newId } from '../../../protocol/ids.ts'
import type { DirectRead, DirectReadRequest } from '../../../protocol/schemas.ts'
import { type Caller, slotRequest } from '../../access/caller.ts'
import type { GrantsDirectAccess } from '../../blobs/blob-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import { countDownload, type CountDownload, type CountedDownload, openMedia } from '../download/open-media.ts'
import { bytesAhead, type DirectAccess, payAhead, requireDirect, tooSlowForParts } from './direct-access.ts'

export type DirectReads = DirectAccess & CountDownload

/** Presigned URLs in one response: bounds its size and the work of signing. A client can request more. */
const PARTS_PER_RESPONSE = 64

export interface PresignedRead {
  readonly read: DirectRead
  readonly media: MediaRecord
  readonly counted: CountedDownload | null
}

/**
 * Presigned URLs of the parts that hold a range of a complete media item. One slot covers all of them, until the client
 * ends the transfer or they expire, at the latest with the lease.
 * @throws not_direct, not_found, gone, upload_in_progress, range_not_satisfiable, downloads_exhausted,
 * too_many_downloads
 */
export async function presignMediaRead(
  deps: DirectReads,
  caller: Caller,
  { mediaId, grant, ...range }: DirectReadRequest & { readonly mediaId: string; readonly grant: string | undefined },
  signal: AbortSignal,
): Promise<PresignedRead> {
  const store = requireDirect(deps)
  const media = await openMedia(deps.records, mediaId, deps.clock())
  const span = spanOf(media, range, bytesAhead(caller, 'download'))
  using untilHeld = new DisposableStack()
  const slot = untilHeld.use(await deps.slots.acquire(slotRequest(caller, 'download'), signal))
  await payAhead(deps, caller, { direction: 'download', bytes: span.bytes }, signal)
  // The lease may have ended in the queue.
  const { expiresAt: leaseEndsAt } = await openMedia(deps.records, mediaId, deps.clock())
  const ttlMs = Math.min(deps.direct().ttlMs, Math.max(1, leaseEndsAt - deps.clock()))
  const parts = await presignAll(store, media, span, ttlMs)
  signal.throwIfAborted()
  // Last, since it cannot be undone once the URLs are out.
  const counted = await countDownload(deps, media, grant)
  const transferId = newId(deps.random)
  untilHeld.move()
  deps.directSlots.hold(transferId, slot, ttlMs)
  const expiresAt = new Date(deps.clock() + ttlMs).toISOString()
  return {
    read: { transferId, sizeBytes: span.sizeBytes, partBytes: media.partBytes, parts, expiresAt },
    media,
    counted,
  }
}

/** Releases the slot of a finished transfer; a repetition is no error. @throws not_found for a malformed id */
export function endDirectTransfer({ directSlots }: DirectAccess, transferId: string): void {
  if (!isId(transferId)) throw new SealiftError('not_found', 'No transfer can have this id')
  directSlots.end(transferId)
}

interface Span {
  readonly sizeBytes: number
  readonly firstPart: number
  /** Past the last one. */
  readonly endPart: number
  /** Of the range that lies in these parts. */
  readonly bytes: number
}

function spanOf(
  { state, sizeBytes, partBytes }: MediaRecord,
  { start, end }: DirectReadRequest,
  mostBytes: number,
): Span {
  if (state !== 'complete' || sizeBytes === null) {
    throw new SealiftError('upload_in_progress', 'This media still grows: follow it through the server')
  }
  const until = Math.min(end ?? sizeBytes, sizeBytes)
  if (start >= until) {
    throw new SealiftError('range_not_satisfiable', `This media has ${sizeBytes} bytes`, { context: { sizeBytes } })
  }
  const firstPart = Math.floor(start / partBytes)
  const neededEnd = Math.min(Math.ceil(until / partBytes), firstPart + PARTS_PER_RESPONSE)
  const endPart =
    start + mostBytes >= until ? neededEnd : Math.min(neededEnd, Math.floor((start + mostBytes) / partBytes))
  if (endPart <= firstPart) throw tooSlowForParts()
  return { sizeBytes, firstPart, endPart, bytes: Math.min(until, endPart * partBytes) - start }
}

function presignAll(
  store: GrantsDirectAccess,
  { blobId }: MediaRecord,
  { firstPart, endPart }: Span,
  ttlMs: number,
): Promise<DirectRead['parts']> {
  const indices = Array.from({ length: endPart - firstPart }, (_, offset) => firstPart + offset)
  return Promise.all(
    indices.map(async index => {
      const { url, headers } = await store.presignRead({ blobId, index }, ttlMs)
      return { index, url, headers: { ...headers } }
    }),
  )
}
