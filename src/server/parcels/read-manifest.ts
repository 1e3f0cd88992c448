import type { Clock } from '../clock.ts'
import type { ParcelFacts, ParcelRecords } from '../records/record-store.ts'
import { readParcel } from './read-parcel.ts'

export interface ReadManifest {
  readonly records: ParcelRecords
  readonly clock: Clock
}

/** One version of a parcel with its sealed manifest. */
export interface OpenedManifest {
  readonly parcel: ParcelFacts
  readonly bytes: Uint8Array
}

/** The manifest of `parcel`, or of the version that replaced it since. @throws not_found, gone */
export async function readManifest({ records, clock }: ReadManifest, parcel: ParcelFacts): Promise<OpenedManifest> {
  let newest = parcel
  for (;;) {
    const bytes = await records.readManifest(newest.parcelId, newest.version)
    if (bytes) return { parcel: newest, bytes }
    newest = await readParcel(records, parcel.parcelId, clock())
  }
}
