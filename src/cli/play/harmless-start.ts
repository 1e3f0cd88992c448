/**
 * Players recognise playlists and archives by content, whatever name and type they come with, and then open every URL
 * inside: on the internet, in the local network, on this machine. So the gateway serves no bytes that begin like one.
 */
import { SealiftError, type PlainRange } from '../../client/node/index.ts'

/** Covers what players look at first: an ISO image shows itself behind 32 KiB. */
export const START_BYTES = 40 * 1024
/** FFmpeg looks behind a tag of at most 1 MiB; behind a larger one it expects sound. */
const MAX_TAG_BYTES = 1024 * 1024
const TAG_HEADER_BYTES = 10

/** Text formats that name other files. FFmpeg and mpv know each by its first characters. */
const LIST =
  /^(?:#EXT|\[playlist\]|\[reference\]|<|ffconcat|# mpv EDL|mplayer EDL|RTSPtext|SMILtext|v=0|\d*\s*FILE\s|[a-z][a-z\d+.-]*:\/\/)/i
/** An archive inside the start: ZIP, RAR, 7z. */
const ARCHIVES = ['PK\x03\x04', 'PK\x05\x06', 'Rar!\x1a\x07', '7z\xbc\xaf\x27\x1c']
const ISO_IMAGE = { at: 0x8001, mark: 'CD001' }
/** Other endings may make a player read text as a playlist. */
const HARMLESS_TEXT = /\.(?:txt|text|md|log|csv|json|pdf|srt|vtt|ass)$/i

/** Box types that an MP4 begins with. */
const MP4_START = /^(?:ftyp|styp|moov|moof|sidx|free|skip|wide|mdat)$/

type Read = (range: PlainRange, signal: AbortSignal) => AsyncIterable<Uint8Array>

/**
 * Whether a player finds no playlist and no archive in a file that begins like this.
 * @param name decides about text alone: `''` for a track, which is never text
 */
export function isHarmlessStart(start: Uint8Array, name: string): boolean {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength).subarray(tagBytes(start))
  const latin = bytes.toString('latin1', 0, START_BYTES)
  const text = latin.replace(/^(?:\xef\xbb\xbf|\s)+/, '')
  if (LIST.test(text) || isUtf16(bytes)) return false
  if (ARCHIVES.some(mark => latin.includes(mark)) || latin.startsWith(ISO_IMAGE.mark, ISO_IMAGE.at)) return false
  return latin === '' || !isText(latin) || HARMLESS_TEXT.test(name)
}

/**
 * Reads a range, and refuses the file before its first byte is given out if it begins like a playlist or an archive. A
 * range far behind the start needs no look: a player has recognised the format before it reads there.
 */
export async function* readHarmless(
  { read, name }: { readonly read: Read; readonly name: string },
  range: PlainRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  if (range.start >= START_BYTES) {
    yield* read(range, signal)
    return
  }
  for (let needed = START_BYTES; ;) {
    const end = Math.max(range.end, needed)
    const held = new HeldStart()
    for await (const piece of read({ start: 0, end }, signal)) {
      for (const checked of held.add(piece, name)) {
        const part = checked.bytes.subarray(Math.max(0, range.start - checked.at), Math.max(0, range.end - checked.at))
        if (part.byteLength > 0) yield part
      }
      if (held.isKnown && held.bytes >= range.end) return
    }
    if (held.isKnown) return
    needed = held.needed
    // All there is was read: there is nothing behind it that could show what it is.
    if (held.bytes >= end && needed > end) continue
    check(held.start, name)
    const part = held.start.subarray(range.start, range.end)
    if (part.byteLength > 0) yield part
    return
  }
}

/** Keeps what comes back until there is enough to know what it begins. */
class HeldStart {
  isKnown = false
  start: Uint8Array = new Uint8Array()
  bytes = 0

  /** How many bytes of the file identify its format. */
  get needed(): number {
    return tagBytes(this.start) + START_BYTES
  }

  /** @throws forbidden */
  *add(piece: Uint8Array, name: string): Generator<{ readonly bytes: Uint8Array; readonly at: number }> {
    const at = this.bytes
    this.bytes += piece.byteLength
    if (this.isKnown) {
      yield { bytes: piece, at }
      return
    }
    this.start = this.start.byteLength === 0 ? piece : Buffer.concat([this.start, piece])
    if (this.bytes < this.needed) return
    this.isKnown = true
    check(this.start, name)
    yield { bytes: this.start, at: 0 }
    this.start = new Uint8Array()
  }
}

/** @param start eight bytes at least */
export function isMp4Start(start: Uint8Array): boolean {
  return MP4_START.test(Buffer.from(start.subarray(4, 8)).toString('latin1'))
}

function check(start: Uint8Array, name: string): void {
  if (isHarmlessStart(start, name)) return
  throw new SealiftError(
    'forbidden',
    'This begins like a playlist, an archive or text, which can make a player open other addresses. It is not played; `sealift get` saves it',
  )
}

/** Length of the ID3 tags at the front, behind which FFmpeg looks for the format. */
function tagBytes(start: Uint8Array): number {
  let at = 0
  while (at < MAX_TAG_BYTES && start[at] === 0x49 && start[at + 1] === 0x44 && start[at + 2] === 0x33) {
    const [flags = 0, a = 0, b = 0, c = 0, d = 0] = start.subarray(at + 5, at + TAG_HEADER_BYTES)
    const footer = (flags & 0x10) === 0 ? 0 : TAG_HEADER_BYTES
    at += TAG_HEADER_BYTES + ((a & 127) << 21) + ((b & 127) << 14) + ((c & 127) << 7) + (d & 127) + footer
  }
  return at > MAX_TAG_BYTES ? 0 : at
}

/** Control characters tell binary formats from text; escape and tabs are text. */
function isText(latin: string): boolean {
  // oxlint-disable-next-line no-control-regex -- these are what text does not have
  return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(latin)
}

function isUtf16(bytes: Uint8Array): boolean {
  const [first, second] = bytes
  return (
    (first === 0xfe && second === 0xff) || (first === 0xff && second === 0xfe && bytes[2] !== 0xff && bytes[3] === 0)
  )
}
