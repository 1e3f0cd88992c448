/**
 * Cuts a film at key frames of its video into segments of about four seconds, the first one shorter, at the same times
 * in all files. Without video, audio is cut anywhere. One segment is held in memory.
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
/** Short: playing begins when all of the first segment is there. */
const FIRST_SEGMENT_SECONDS = 0.9
/** A segment of this size ends at the next key frame, however short it is. */
const SEGMENT_BYTES = 8 * 1024 * 1024
/** The most between two key frames: it is held in memory. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024
const MAX_SEGMENT_PACKETS = 200_000
/** The most that a manifest takes. */
const MAX_SEGMENT_SECONDS = 3600
const MAX_SEGMENTS = 100_000
const TOO_FAR = 'Its key frames are too far apart'

interface Cut {
  readonly packets: ReadonlyMap<CopiedTrack, readonly EncodedPacket[]>
  /** Seconds from the beginning of the film. */
  readonly end: number
  /** The video ends here, and audio is left. */
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
    // Audio behind the video joins the last segment of video, since a segment begins with a key frame.
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
  const taker = new PacketTaker(originSeconds, film.leadSeconds)
  const packets = new Map<CopiedTrack, readonly EncodedPacket[]>()
  const frames = video ? await taker.takeVideo(video.cursor, start) : []
  if (video) packets.set(video, frames)
  const border = borderOf(film, frames.length > 0 ? taker.end : null, start)
  for (const track of audio) packets.set(track, await taker.takeAudio(track.cursor, border))
  const end = Math.max(start, anyLeft(film) ? border : taker.end)
  if (end - start > MAX_SEGMENT_SECONDS) throw new CannotPackage(TOO_FAR)
  return { packets, end, isLastOfVideo: frames.length > 0 && !video?.cursor.head && anyLeft(film) }
}

/** Up to when audio belongs to the segment: to the end of its video, else a segment's length from the first audio. */
function borderOf({ video, audio, originSeconds }: OpenFilm, videoEnd: number | null, start: number): number {
  const head = video?.cursor.head
  if (head) return head.timestamp - originSeconds
  if (videoEnd !== null) return videoEnd
  const heads = audio.flatMap(({ cursor }) => (cursor.head ? [cursor.head.timestamp - originSeconds] : []))
  return Math.max(start, Math.min(...heads)) + SEGMENT_SECONDS
}

function anyLeft({ video, audio }: OpenFilm): boolean {
  return [video, ...audio].some(track => track !== null && track.cursor.head !== null)
}

/** Takes the packets of one segment, within limits; their times count from the beginning of the film. */
class PacketTaker {
  readonly #origin: number
  readonly #lead: number
  #bytes = 0
  #count = 0
  /** When the last of the packets ends. */
  end = 0

  constructor(origin: number, lead: number) {
    this.#origin = origin
    this.#lead = lead
  }

  /** From a key frame up to the first one that is far enough away. */
  async takeVideo(cursor: PacketCursor, start: number): Promise<EncodedPacket[]> {
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

  async takeAudio(cursor: PacketCursor, border: number): Promise<EncodedPacket[]> {
    const taken: EncodedPacket[] = []
    for (let head = cursor.head; head && head.timestamp - this.#origin < border; head = cursor.head) {
      taken.push(this.#take(head))
      await cursor.advance()
    }
    return taken
  }

  #take(packet: EncodedPacket): EncodedPacket {
    this.#bytes += packet.byteLength
    this.#count++
    if (this.#bytes > MAX_SEGMENT_BYTES || this.#count > MAX_SEGMENT_PACKETS) {
      throw new CannotPackage(TOO_FAR)
    }
    const timestamp = packet.timestamp - this.#origin
    this.end = Math.max(this.end, timestamp + packet.duration)
    return packet.clone({ timestamp: timestamp + this.#lead })
  }
}
