/** Parts that a client stores itself: a presigned URL first, then a check of the store before the part counts. */
import { SealiftError } from '../../../protocol/errors.ts'
import type { DirectAddress, DirectPartRequest } from '../../../protocol/schemas.ts'
import { type Caller, chargedTier, quotaCaps, slotRequest } from '../../access/caller.ts'
import type { GrantsDirectAccess, StoredPart } from '../../blobs/blob-store.ts'
import { blobTopic, partTopic } from '../../change-feed/change-feed.ts'
import type { PartRecord, QuotaCaps, UploadRecord } from '../../records/record-types.ts'
import { findLiveUpload } from '../upload/find-upload.ts'
import { assertStillTaken, assertTakesPart, type PutPart } from '../upload/put-part.ts'
import {
  bytesAhead,
  type DirectAccess,
  partTransfer,
  payAhead,
  requireDirect,
  tooSlowForParts,
} from './direct-access.ts'

export type DirectParts = DirectAccess & Pick<PutPart, 'records' | 'feed' | 'clock' | 'terms' | 'openTier'>

/** Which part, and what its bytes are. */
export interface AnnouncedPart extends DirectPartRequest {
  readonly uploadId: string
  readonly index: number
}

/**
 * A presigned URL for one part. It holds a slot until the part is confirmed or the URL expires; a repeated request
 * releases the earlier slot. `null`: the part is durable already, with these bytes.
 * @throws not_direct, not_found, gone, upload_complete, size_mismatch, too_large, quota_exceeded, too_many_pending,
 * too_many_uploads, part_conflict, damaged
 */
export async function presignPartUpload(
  deps: DirectParts,
  caller: Caller,
  part: AnnouncedPart,
  signal: AbortSignal,
): Promise<DirectAddress | null> {
  const store = requireDirect(deps)
  if (part.sizeBytes > bytesAhead(caller, 'upload')) throw tooSlowForParts()
  const { upload, durable, caps } = await reserve(deps, caller, part)
  if (durable) {
    await assertSame(deps, caller, { store, upload, part }, signal)
    return null
  }
  const { blobId } = upload
  const { index, sizeBytes, md5 } = part
  const transfer = partTransfer(upload.uploadId, index)
  deps.directSlots.end(transfer)
  using untilHeld = new DisposableStack()
  const slot = untilHeld.use(await deps.slots.acquire(slotRequest(caller, 'upload'), signal))
  await payAhead(deps, caller, { direction: 'upload', bytes: sizeBytes }, signal)
  const { ttlMs } = deps.direct()
  // After the waits: the upload may have ended meanwhile.
  if (await announce(deps, { upload, part, caps, ttlMs })) {
    await assertSame(deps, caller, { store, upload, part }, signal)
    return null
  }
  const address = await store.presignPart({ blobId, index }, { sizeBytes, md5Base64: md5, ttlMs })
  signal.throwIfAborted()
  untilHeld.move()
  deps.directSlots.hold(transfer, slot, ttlMs)
  const expiresAt = new Date(deps.clock() + ttlMs).toISOString()
  return { transferId: transfer, url: address.url, headers: { ...address.headers }, expiresAt }
}

/**
 * Records a part that the store has, if its length and MD5 are the announced ones. Idempotent.
 * @throws not_direct, not_found, gone, upload_complete, size_mismatch, parts_missing, part_conflict, damaged
 */
export async function confirmDirectPart(
  deps: DirectParts,
  caller: Caller,
  part: AnnouncedPart,
  signal: AbortSignal,
): Promise<void> {
  const store = requireDirect(deps)
  const { upload, durable } = await reserve(deps, caller, part)
  if (durable) await assertSame(deps, caller, { store, upload, part }, signal)
  else {
    await assertStored(store, upload, part, signal)
    const { index, sizeBytes } = part
    await deps.records.recordPart(upload.uploadId, { index, sizeBytes }, deps.clock() + deps.terms().uploadExpiryMs)
    deps.feed.announce(blobTopic(upload.blobId))
    deps.feed.announce(partTopic(upload.uploadId, index))
  }
  deps.directSlots.end(partTransfer(upload.uploadId, part.index))
}

/** As a share of a URL's lifetime: for a request begun just before it expires, and for clocks that differ. */
const LEEWAY = 0.5
/** How far ahead to record, in URL lifetimes; one record per upload usually suffices. */
const RECORDED_AHEAD = 2

interface Announcement {
  readonly upload: UploadRecord
  readonly part: AnnouncedPart
  readonly caps: QuotaCaps
  readonly ttlMs: number
}

/** Records, before a URL is signed, until when one may be used. @returns the part if it has become durable meanwhile */
async function announce(
  { records, clock }: DirectParts,
  { upload, part, caps, ttlMs }: Announcement,
): Promise<PartRecord | null> {
  const now = clock()
  if ((upload.presignedUntil ?? 0) >= now + ttlMs * (1 + LEEWAY)) return null
  const { index, sizeBytes } = part
  return records.reservePresignedPart(
    upload.uploadId,
    { index, sizeBytes, until: now + Math.ceil(ttlMs * RECORDED_AHEAD) },
    caps,
  )
}

async function reserve(
  deps: DirectParts,
  caller: Caller,
  part: AnnouncedPart,
): Promise<{ readonly upload: UploadRecord; readonly durable: PartRecord | null; readonly caps: QuotaCaps }> {
  const upload = await findLiveUpload(deps.records, part.uploadId, caller)
  assertTakesPart(upload, part)
  const caps = { ...quotaCaps(chargedTier(deps, caller, upload.clientId)), maxBytes: upload.maxBytes }
  return { upload, caps, durable: await deps.records.reservePart(upload.uploadId, part, caps) }
}

async function assertStored(
  store: GrantsDirectAccess,
  { blobId }: UploadRecord,
  part: AnnouncedPart,
  signal: AbortSignal,
): Promise<void> {
  const stored = await store.statPart({ blobId, index: part.index }, signal)
  if (stored && matches(stored, part)) return
  throw new SealiftError(
    'parts_missing',
    `The store does not have part ${part.index} with these bytes; send it again`,
    {
      context: { missing: [[part.index, part.index]] },
    },
  )
}

interface PartToCompare {
  readonly store: GrantsDirectAccess
  readonly upload: UploadRecord
  readonly part: AnnouncedPart
}

/** @throws part_conflict; damaged when the bytes are gone; what `assertStillTaken` does when that is not a fault */
async function assertSame(
  { records }: DirectParts,
  caller: Caller,
  { store, upload, part }: PartToCompare,
  signal: AbortSignal,
): Promise<void> {
  const stored = await store.statPart({ blobId: upload.blobId, index: part.index }, signal)
  if (stored && matches(stored, part)) return
  if (stored === null) {
    await assertStillTaken(records, caller, part)
    throw new SealiftError('damaged', 'The stored bytes are missing: run `sealift fsck`')
  }
  throw new SealiftError('part_conflict', `Part ${part.index} is stored with other bytes; a stored part never changes`)
}

/**
 * Services that encrypt at rest send another tag than the MD5: then length and the service's own check must suffice.
 */
function matches(stored: StoredPart, { sizeBytes, md5 }: AnnouncedPart): boolean {
  const md5Hex = /^"?([0-9a-f]{32})"?$/.exec(stored.etag)?.[1]
  return (
    stored.sizeBytes === sizeBytes && (md5Hex === undefined || Buffer.from(md5Hex, 'hex').toString('base64') === md5)
  )
}
