import type { ParcelItem, PlainRange } from '../../client/node/index.ts'
import { printable } from '../terminal/text.ts'
import type { FollowedParcel } from './followed-parcel.ts'
import { readHarmless } from './harmless-start.ts'

/** Something short, whole in memory. */
export interface TextResource {
  readonly type: string
  readonly body: string | Uint8Array
}

/** Bytes of any length, read as they are sent. */
export interface BytesResource {
  readonly type: string
  /** `null` while it is not known: then there are no ranges beyond `readableBytes`. */
  readonly totalBytes: number | null
  /** Bytes from the first on that can be asked for by ranges. */
  readonly readableBytes: number
  /** The bytes of a range; of all there will be when it is absent. Ends, or fails, and never ends early. */
  read(range: PlainRange | null, signal: AbortSignal): AsyncIterable<Uint8Array>
}

export type Resource = TextResource | BytesResource

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

const HARMLESS = /^(?:(?:audio|video|image)\/[a-z\d][a-z\d.+-]{0,100}|text\/plain|application\/pdf)$/
/** Playlists under the names of sound and moving pictures. */
const LISTS = /mpegurl|scpls|x-ms-(?:asx|wax|wvx|wmx)|pn-realaudio|smil|dash|playlist/
const ANY = 'application/octet-stream'

/**
 * What a plain file may be served as. Its sender chose the type, so nothing that a browser would run, or could run by
 * another name, keeps it.
 */
export function servedType(type: string): string {
  const [essence = ''] = type.toLowerCase().split(';')
  const named = essence.trim()
  if (!HARMLESS.test(named) || LISTS.test(named) || /\bsvg\b|xml/.test(named)) return ANY
  return named === 'text/plain' ? 'text/plain; charset=utf-8' : named
}
