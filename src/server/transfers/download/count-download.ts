import { isId, newId } from '../../../protocol/ids.ts'
import type { Clock } from '../../clock.ts'
import type { MediaRecord, MediaRecords } from '../../records/record-store.ts'

export interface CountDownload {
  readonly records: MediaRecords
  readonly clock: Clock
  readonly random: (byteCount: number) => Uint8Array
  readonly grantTtlMs: () => number
}

/** One counted download: the id to send back with further ranges of it. */
export interface CountedDownload {
  readonly grantId: string
  /** Gives the download back if it was taken just now: not one byte of it has moved. */
  giveBack(): Promise<void>
}

/**
 * [Note: one download] is the first GET of a media without a grant the server knows. It is taken off `maxDownloads` in
 * one transaction, before the first byte; further GETs with the grant are the same download. `null`: the lease does
 * not count downloads.
 * @throws downloads_exhausted, gone
 */
export async function countDownload(
  { records, clock, random, grantTtlMs }: CountDownload,
  media: MediaRecord,
  knownGrant: string | undefined,
): Promise<CountedDownload | null> {
  if (media.maxDownloads === null) return null
  const { mediaId } = media
  const now = clock()
  if (knownGrant !== undefined && isId(knownGrant) && (await records.hasGrant(mediaId, knownGrant, now))) {
    return { grantId: knownGrant, giveBack: () => Promise.resolve() }
  }
  const grantId = newId(random)
  await records.takeDownload(mediaId, { grantId, expiresAt: now + grantTtlMs() }, now)
  return { grantId, giveBack: () => records.returnDownload(mediaId, grantId) }
}
