import type { ParcelItem } from '../../client/node/index.ts'
import { printable } from '../terminal/text.ts'
import { servedType } from './content-type.ts'
import type { FollowedParcel } from './followed-parcel.ts'
import type { BytesResource } from './resource.ts'

/** Fetched before it is written, for each response: as much as of a track. */
const AHEAD_BYTES = 2 * 1024 * 1024

const WHOLE = { start: 0, end: Number.MAX_SAFE_INTEGER }

/** The item's own bytes. */
export function fileResource({ parcel }: FollowedParcel, item: ParcelItem): BytesResource {
  return {
    type: servedType(item.type),
    totalBytes: item.bytes,
    readableBytes: item.bytes ?? 0,
    read: (range, signal) => parcel.stream(item, { range: range ?? WHOLE, signal, aheadBytes: AHEAD_BYTES }),
  }
}

/** The last part of a name: what a player shows. */
export function fileName({ name }: Pick<ParcelItem, 'name'>): string {
  // Players put it into the title of their window, or of the terminal.
  const base = printable(name.toWellFormed()).split(/[/\\]/).at(-1) ?? ''
  return base === '' || base === '.' || base === '..' ? 'file' : base
}
