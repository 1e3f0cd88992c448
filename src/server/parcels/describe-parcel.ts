import type { Parcel } from '../../protocol/schemas.ts'
import type { ParcelFacts } from '../records/record-store.ts'

export function describeParcel({ parcelId, version, expiresAt }: ParcelFacts): Parcel {
  return { parcelId, version, expiresAt: new Date(expiresAt).toISOString() }
}
