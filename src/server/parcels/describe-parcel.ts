import type { Parcel } from '../../protocol/schemas.ts'
import type { ParcelRecord } from '../records/record-store.ts'

export function describeParcel({ parcelId, version, expiresAt }: ParcelRecord): Parcel {
  return { parcelId, version, expiresAt: new Date(expiresAt).toISOString() }
}
