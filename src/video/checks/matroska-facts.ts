import type { RandomSource } from '../../client/api/source-and-sink.ts'
import type { DeclaredFilm, DeclaredTrack } from './declared.ts'

/** Ids of elements: RFC 9559, section 5. */
const SEGMENT = 0x18_53_80_67
const INFO = 0x15_49_a9_66
const TIMESTAMP_SCALE = 0x2a_d7_b1
const DURATION = 0x44_89
const TRACKS = 0x16_54_ae_6b
const TRACK_ENTRY = 0xae
const TRACK_NUMBER = 0xd7
const TRACK_TYPE = 0x83
const FLAG_ENABLED = 0xb9
const CODEC_ID = 0x86
const CONTENT_ENCODINGS = 0x6d_80
const CONTENT_ENCODING = 0x62_40
const CONTENT_COMPRESSION = 0x50_34
const CONTENT_COMP_ALGO = 0x42_54

const HEADER_STRIPPING = 3
const USUAL_SCALE = 1_000_000
const KINDS: Readonly<Record<number, DeclaredTrack['kind']>> = { 1: 'video', 2: 'audio' }

/** An id of four bytes and a length of eight. */
const HEADER_BYTES = 12
const MAX_ELEMENT_BYTES = 16 * 1024 * 1024
const MAX_ELEMENTS_TO_OPEN = 10_000

/** What the head of a Matroska or WebM file declares; `null` when it lists no tracks. */
export async function matroskaFacts(source: RandomSource, signal: AbortSignal): Promise<DeclaredFilm | null> {
  let [info, tracks]: [DataView | null, DataView | null] = [null, null]
  let at = 0
  for (let count = 0; count < MAX_ELEMENTS_TO_OPEN && at < source.sizeBytes && !(info && tracks); count++) {
    const end = Math.min(source.sizeBytes, at + HEADER_BYTES)
    const header = elementHeader(viewOf(await source.read(at, end, signal)), 0)
    if (!header) break
    const body = at + header.headerBytes
    if (header.id === SEGMENT) at = body
    else {
      // Only live streams leave lengths out, and they begin with the information and the tracks.
      if (header.bytes === null) break
      if (header.id === INFO || header.id === TRACKS) {
        if (header.bytes > MAX_ELEMENT_BYTES || body + header.bytes > source.sizeBytes) break
        const view = viewOf(await source.read(body, body + header.bytes, signal))
        if (header.id === INFO) info = view
        else tracks = view
      }
      at = body + header.bytes
    }
  }
  return tracks && factsOf(tracks, info)
}

function factsOf(trackList: DataView, info: DataView | null): DeclaredFilm {
  const entries = inside(trackList, TRACK_ENTRY).filter(entry => uint(entry, FLAG_ENABLED, 1) !== 0)
  const tracks = entries.flatMap(entry => trackOf(entry) ?? [])
  // The duration also counts subtitles, which may go on behind video and audio.
  const endSeconds = info && tracks.length === entries.length ? durationOf(info) : null
  return { tracks, endSeconds, isSplit: false, countSamples: () => Promise.resolve(null) }
}

function trackOf(entry: DataView): DeclaredTrack | null {
  const kind = KINDS[uint(entry, TRACK_TYPE, 0)]
  if (!kind) return null
  const encodings = inside(entry, CONTENT_ENCODINGS).flatMap(list => inside(list, CONTENT_ENCODING))
  return {
    kind,
    id: uint(entry, TRACK_NUMBER, 0),
    codec: text(inside(entry, CODEC_ID)[0]),
    samples: null,
    edits: [],
    tickSeconds: 0,
    editTickSeconds: 0,
    isEncoded: encodings.some(encoding => !isHeaderStripping(encoding)),
  }
}

function isHeaderStripping(encoding: DataView): boolean {
  const [compression] = inside(encoding, CONTENT_COMPRESSION)
  return compression !== undefined && uint(compression, CONTENT_COMP_ALGO, 0) === HEADER_STRIPPING
}

function durationOf(info: DataView): number | null {
  const [duration] = inside(info, DURATION)
  if (duration?.byteLength !== 4 && duration?.byteLength !== 8) return null
  const ticks = duration.byteLength === 4 ? duration.getFloat32(0) : duration.getFloat64(0)
  const seconds = (ticks * uint(info, TIMESTAMP_SCALE, USUAL_SCALE)) / 1e9
  return Number.isFinite(seconds) && seconds > 0 ? seconds : null
}

interface ElementHeader {
  readonly id: number
  readonly headerBytes: number
  /** `null`: not said. */
  readonly bytes: number | null
}

function elementHeader(view: DataView, at: number): ElementHeader | null {
  const idBytes = lengthOfNumber(view, at)
  if (idBytes === null || idBytes > 4) return null
  const sizeBytes = lengthOfNumber(view, at + idBytes)
  if (sizeBytes === null || at + idBytes + sizeBytes > view.byteLength) return null
  const id = number(view, at, idBytes)
  const headerBytes = idBytes + sizeBytes
  // Without the length marker: with it, eight bytes are more than a number can hold.
  const first = view.getUint8(at + idBytes) & (0xff >> sizeBytes)
  const rest = number(view, at + idBytes + 1, sizeBytes - 1)
  const isUnknown = first === 0xff >> sizeBytes && rest === 256 ** (sizeBytes - 1) - 1
  return { id, headerBytes, bytes: isUnknown ? null : first * 256 ** (sizeBytes - 1) + rest }
}

/** EBML, RFC 8794, section 4: zeros before the first bit that is set say how many bytes follow. */
function lengthOfNumber(view: DataView, at: number): number | null {
  if (at >= view.byteLength) return null
  const zeros = Math.clz32(view.getUint8(at)) - 24
  return zeros < 8 ? zeros + 1 : null
}

function number(view: DataView, at: number, bytes: number): number {
  let value = 0
  for (let index = 0; index < bytes; index++) value = value * 256 + view.getUint8(at + index)
  return value
}

/** Bodies of the elements of this id directly in `view`; ends at a length that cannot be. */
function inside(view: DataView, id: number): DataView[] {
  const found: DataView[] = []
  for (let at = 0; at < view.byteLength;) {
    const header = elementHeader(view, at)
    if (!header || header.bytes === null) break
    const [body, end] = [at + header.headerBytes, at + header.headerBytes + header.bytes]
    if (end > view.byteLength) break
    if (header.id === id) found.push(new DataView(view.buffer, view.byteOffset + body, header.bytes))
    at = end
  }
  return found
}

function uint(view: DataView, id: number, otherwise: number): number {
  const [element] = inside(view, id)
  return element && element.byteLength <= 8 ? number(element, 0, element.byteLength) : otherwise
}

function text(element: DataView | undefined): string {
  return element ? new TextDecoder().decode(element).replaceAll('\0', '') : ''
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
