import type { Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import { blobTopic, uploadTopic, type ChangeFeed } from '../../change-feed/change-feed.ts'
import type { UploadRecords } from '../../records/record-store.ts'
import { givenUp, type PartsInFlight } from './parts-in-flight.ts'
import { findOwnUpload } from './upload-rights.ts'

export interface AbortUpload {
  readonly records: UploadRecords
  readonly feed: ChangeFeed
  readonly inFlight: PartsInFlight
  readonly clock: Clock
}

/** Gives an upload up: nothing of it is reachable or charged afterwards. @throws not_found, upload_complete */
export async function abortUpload(deps: AbortUpload, caller: Caller, uploadId: string): Promise<void> {
  const upload = await findOwnUpload(deps.records, uploadId, caller)
  await giveUp(deps, upload)
}

/** The same, for an upload whose owner is not asked: a one-request upload that failed. */
export async function giveUp(
  { records, feed, inFlight, clock }: AbortUpload,
  { uploadId, blobId }: { uploadId: string; blobId: string },
): Promise<void> {
  await records.abortUpload(uploadId, clock())
  feed.announce(blobTopic(blobId))
  feed.announce(uploadTopic(uploadId))
  await inFlight.stopAll(uploadId, givenUp())
}
