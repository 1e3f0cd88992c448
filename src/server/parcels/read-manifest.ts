import type { Clock } from '../clock.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { readParcel } from './read-parcel.ts'
import type { HeldManifest, StoredManifests } from './stored-manifests.ts'

export interface ReadManifest {
  readonly records: ParcelRecords
  readonly storedManifests: Pick<StoredManifests, 'open'>
  readonly clock: Clock
}

/** One version of a parcel with its sealed manifest. */
export interface OpenedManifest extends HeldManifest {
  readonly parcel: ParcelFacts
}

/** The manifest of `parcel`, or of the version that has replaced it since. @throws not_found, gone */
export async function readManifest(deps: ReadManifest, parcel: ParcelFacts): Promise<OpenedManifest> {
  let newest = parcel
  for (;;) {
    const held = await deps.storedManifests.open(newest)
    if (held) return { parcel: newest, bytes: held.bytes, [Symbol.dispose]: () => held[Symbol.dispose]() }
    newest = await readParcel(deps.records, parcel.parcelId, deps.clock())
  }
}
