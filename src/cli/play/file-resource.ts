import type { ParcelItem, PlainRange } from '../../client/node/index.ts'
import { printable } from '../terminal/text.ts'
import { servedType } from './content-type.ts'
import type { FollowedParcel } from './followed-parcel.ts'
import { readHarmless } from './harmless-start.ts'
import type { BytesResource } from './resource.ts'

/** Fetched before it is written, for each response: as much as of a track. */
const AHEAD_BYTES = 2 * 1024 * 1024

const WHOLE = { start: 0, end: Number.MAX_SAFE_INTEGER }

/** The item's own bytes. */
export function fileResource({ parcel }: FollowedParcel, item: ParcelItem): BytesResource {
  const read = (range: PlainRange, signal: AbortSignal): AsyncIterable<Uint8Array> =>
    parcel.stream(item, { range, signal, aheadBytes: AHEAD_BYTES })
  return {
    type: servedType(item.type),
    totalBytes: item.bytes,
    readableBytes: item.bytes ?? 0,
    read: (range, signal) => readHarmless({ read, name: fileName(item) }, range ?? WHOLE, signal),
  }
}

/** The last part of a name: what a player shows. */
export function fileName({ name }: Pick<ParcelItem, 'name'>): string {
  // Players put it into the title of their window, or of the terminal.
  const base = printable(name.toWellFormed()).split(/[/\\]/).at(-1) ?? ''
  return base === '' || base === '.' || base === '..' ? 'file' : base
}
