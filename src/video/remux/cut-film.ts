/**
 * Cuts a film at key frames of its video into segments of about four seconds, the first one shorter, those of all files at the same times.
 * Without video, sound is cut anywhere. What is held in memory is one segment.
 */
import type { EncodedPacket } from 'mediabunny'

import { release } from '../../client/bytes/buffers.ts'
import { CannotPackage } from '../packager.ts'
import type { CopiedTrack } from './input-track.ts'
import type { OpenFilm } from './open-film.ts'
import type { PacketCursor } from './packet-cursor.ts'
import type { TrackFile } from './track-file.ts'

/** Key frames are seldom at whole seconds, and rounded times may fall short of them. */
const SEGMENT_SECONDS = 3.9
/** The first segment is short: who watches while it is being sent, or over a slow line, waits for all of it. */
const FIRST_SEGMENT_SECONDS = 0.9
/** A segment of this size ends at the next key frame however short it is. */
const SEGMENT_BYTES = 8 * 1024 * 1024
/** The most between two key frames: it is held in memory. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024
const MAX_SEGMENT_PACKETS = 200_000
/** What a manifest may tell. */
const MAX_SEGMENT_SECONDS = 3600
const MAX_SEGMENTS = 100_000
const TOO_FAR = 'Its key frames are too far apart'

interface Cut {
  readonly packets: ReadonlyMap<CopiedTrack, readonly EncodedPacket[]>
  /** Where it ends, after the beginning of the film. */
  readonly end: number
  /** The pictures end here, but sound is left. */
  readonly isLastOfVideo: boolean
}

/** @param onProgress seconds of the film that are written */
export async function cutFilm(
  film: OpenFilm,
  files: readonly TrackFile[],
  onProgress: (seconds: number) => void,
): Promise<void> {
  for (const file of files) await file.begin()
  let start = 0
  for (let count = 0; ; count++) {
    const cut = await nextCut(film, start)
    if (!cut) break
    if (count >= MAX_SEGMENTS) throw new CannotPackage('The film is too long')
    await writeCut(files, cut, start)
    if (film.givesOwnBytes) for (const { data } of Array.from(cut.packets.values()).flat()) release(data)
    start = cut.end
    // Sound that goes on a little belongs to the last pictures, since a segment begins with a key frame.
    if (!cut.isLastOfVideo) for (const file of files) file.endSegment()
    onProgress(start)
  }
  for (const file of files) file.endSegment()
}

async function writeCut(files: readonly TrackFile[], cut: Cut, start: number): Promise<void> {
  for (const file of files) {
    const packets = file.tracks.map(track => cut.packets.get(track) ?? [])
    await file.write(packets, cut.end - start)
  }
}

async function nextCut(film: OpenFilm, start: number): Promise<Cut | null> {
  if (!anyLeft(film)) return null
  const { video, audio, originSeconds } = film
  const taking = new Taking(originSeconds, film.leadSeconds)
  const packets = new Map<CopiedTrack, readonly EncodedPacket[]>()
  const pictures = video ? await taking.pictures(video.cursor, start) : []
  if (video) packets.set(video, pictures)
  const border = borderOf(film, pictures.length > 0 ? taking.end : null, start)
  for (const track of audio) packets.set(track, await taking.sound(track.cursor, border))
  const end = Math.max(start, anyLeft(film) ? border : taking.end)
  if (end - start > MAX_SEGMENT_SECONDS) throw new CannotPackage(TOO_FAR)
  return { packets, end, isLastOfVideo: pictures.length > 0 && !video?.cursor.head && anyLeft(film) }
}

/** Up to when sound belongs to the segment: to where its pictures end, else a segment's length from its own beginning. */
function borderOf({ video, audio, originSeconds }: OpenFilm, picturesEnd: number | null, start: number): number {
  const head = video?.cursor.head
  if (head) return head.timestamp - originSeconds
  if (picturesEnd !== null) return picturesEnd
  const heads = audio.flatMap(({ cursor }) => (cursor.head ? [cursor.head.timestamp - originSeconds] : []))
  return Math.max(start, Math.min(...heads)) + SEGMENT_SECONDS
}

function anyLeft({ video, audio }: OpenFilm): boolean {
  return [video, ...audio].some(track => track !== null && track.cursor.head !== null)
}

/** Takes the packets of one segment, as much as fits into memory; their times count from the beginning of the film. */
class Taking {
  readonly #origin: number
  readonly #lead: number
  #bytes = 0
  count = 0
  /** When the last of them ends. */
  end = 0

  constructor(origin: number, lead: number) {
    this.#origin = origin
    this.#lead = lead
  }

  /** From a key frame up to the first one that is far enough away. */
  async pictures(cursor: PacketCursor, start: number): Promise<EncodedPacket[]> {
    const taken: EncodedPacket[] = []
    const least = start === 0 ? FIRST_SEGMENT_SECONDS : SEGMENT_SECONDS
    for (let head = cursor.head; head; head = cursor.head) {
      const seconds = head.timestamp - this.#origin - start
      const enough = seconds >= least || this.#bytes >= SEGMENT_BYTES
      if (taken.length > 0 && head.type === 'key' && enough) break
      taken.push(this.#take(head))
      await cursor.advance()
    }
    return taken
  }

  async sound(cursor: PacketCursor, border: number): Promise<EncodedPacket[]> {
    const taken: EncodedPacket[] = []
    for (let head = cursor.head; head && head.timestamp - this.#origin < border; head = cursor.head) {
      taken.push(this.#take(head))
      await cursor.advance()
    }
    return taken
  }

  #take(packet: EncodedPacket): EncodedPacket {
    this.#bytes += packet.byteLength
    this.count++
    if (this.#bytes > MAX_SEGMENT_BYTES || this.count > MAX_SEGMENT_PACKETS) {
      throw new CannotPackage(TOO_FAR)
    }
    const timestamp = packet.timestamp - this.#origin
    this.end = Math.max(this.end, timestamp + packet.duration)
    return packet.clone({ timestamp: timestamp + this.#lead })
  }
}
