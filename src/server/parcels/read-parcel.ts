import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import type { ParcelRecords } from '../records/record-store.ts'
import type { ParcelRecord } from '../records/record-types.ts'
import type { Parcel } from '../../protocol/schemas.ts'
import type { Clock } from '../clock.ts'
import type { HeldManifest, StoredManifests } from './stored-manifests.ts'
import { type ChangeFeed, followTopic, parcelTopic } from '../change-feed/change-feed.ts'

/** The newest version of a parcel. The id alone permits reading it. @throws not_found, gone */
export async function readParcel(records: ParcelRecords, parcelId: string, now: number): Promise<ParcelRecord> {
  const parcel = isId(parcelId) ? await records.findParcel(parcelId) : null
  if (!parcel) throw new SealiftError('not_found', 'There is no such parcel')
  if (parcel.endedAt !== null || parcel.expiresAt <= now) {
    throw new SealiftError('gone', 'This parcel has expired, or its sender ended it')
  }
  return parcel
}

export function describeParcel({ parcelId, version, expiresAt }: ParcelRecord): Parcel {
  return { parcelId, version, expiresAt: new Date(expiresAt).toISOString() }
}

export interface ReadManifest {
  readonly records: ParcelRecords
  readonly storedManifests: Pick<StoredManifests, 'open'>
  readonly clock: Clock
}

/** One version of a parcel with its sealed manifest. */
export interface OpenedManifest extends HeldManifest {
  readonly parcel: ParcelRecord
}

/** The manifest of `parcel`, or of the version that has replaced it since. @throws not_found, gone */
export async function readManifest(deps: ReadManifest, parcel: ParcelRecord): Promise<OpenedManifest> {
  let newest = parcel
  for (;;) {
    const held = await deps.storedManifests.open(newest)
    if (held) return { parcel: newest, bytes: held.bytes, [Symbol.dispose]: () => held[Symbol.dispose]() }
    newest = await readParcel(deps.records, parcel.parcelId, deps.clock())
  }
}

export interface WaitForVersion {
  readonly records: ParcelRecords
  readonly feed: ChangeFeed
  readonly clock: Clock
}

/**
 * The parcel as soon as its version is another than `known`; `null` when it still is the same after `waitMs`.
 * @throws not_found, gone (also when it ends meanwhile); the signal's reason
 */
export function waitForVersion(
  { records, feed, clock }: WaitForVersion,
  { parcelId, known, waitMs }: { parcelId: string; known: number; waitMs: number },
  signal: AbortSignal,
): Promise<ParcelRecord | null> {
  const look = async () => {
    const parcel = await readParcel(records, parcelId, clock())
    return parcel.version === known ? null : parcel
  }
  return followTopic({ feed, topic: parcelTopic(parcelId), signal, waitMs }, look)
}
