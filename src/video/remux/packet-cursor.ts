import { EncodedPacketSink, InputVideoTrack } from 'mediabunny'
import type { EncodedPacket, InputTrack } from 'mediabunny'

import { CannotPackage } from '../packager.ts'
import { ENTIRE_TRACK, isInside } from './shown-span.ts'
import type { ShownSpan } from './shown-span.ts'

/** Frames that a codec holds back at most. */
const MAX_HELD_BACK = 16
const REORDER_FRAMES = 64
/**
 * Priming that encoders put before the first audio: an edit list leaves it out, and a decoder needs it all the same.
 * HE-AAC has most, some 5,000 samples.
 */
const MAX_PRIMING_SECONDS = 0.15
/** Packets behind the end of a trimmed film that are looked at. */
const MAX_PACKETS_AT_END = 10_000
const METADATA = { metadataOnly: true } as const
const VERIFIED = { verifyKeyPackets: true } as const

const NOTHING_TO_DECODE = 'has no frame that can be decoded alone'
const NOT_ON_KEY_FRAME = 'is trimmed by its edit list, and cannot be shown without frames that were trimmed off'

/**
 * Goes through the packets of a track in decoding order, as far as they are shown. Packets are read one by one: the
 * demuxer's own iteration reads as far ahead as was used in the last second, which for copying is hundreds of
 * megabytes.
 */
export class PacketCursor {
  /** With bytes of its own: every segment needs it. */
  readonly first: EncodedPacket
  readonly #sink: EncodedPacketSink
  readonly #track: InputTrack
  readonly #span: ShownSpan
  #head: EncodedPacket | null
  /** The head as the demuxer returned it, which it needs to find the next packet. */
  #demuxed: EncodedPacket | null
  #trimmed: number
  #isPastEnd = false

  private constructor(track: InputTrack, { sink, span, first, trimmed }: Begin) {
    this.#track = track
    this.#sink = sink
    this.#span = span
    this.#trimmed = trimmed
    this.first = first.clone({ data: first.data.slice() })
    this.#head = first
    this.#demuxed = first
  }

  /**
   * At the first packet that is shown and can be decoded alone.
   * @returns a string when there is none: why the track cannot be copied, the end of a sentence
   */
  static async open(track: InputTrack, span: ShownSpan = ENTIRE_TRACK): Promise<PacketCursor | string> {
    const sink = new EncodedPacketSink(track)
    const isVideo = track instanceof InputVideoTrack
    const begin = isVideo ? await beginVideo(sink, span) : await beginAudio(sink, span)
    if (typeof begin === 'string') return begin
    if (isVideo && !(await beginsDecoding(track, begin.first))) return NOTHING_TO_DECODE
    return new PacketCursor(track, { sink, span: isVideo ? span : { ...span, start: ENTIRE_TRACK.start }, ...begin })
  }

  get head(): EncodedPacket | null {
    return this.#head
  }

  /** When an edit list ends what is shown; infinite without one. */
  get end(): number {
    return this.#span.end
  }

  /** Packets so far that an edit list leaves out. */
  get trimmed(): number {
    return this.#trimmed
  }

  async advance(): Promise<void> {
    do if (this.#demuxed) this.#demuxed = await this.#sink.getNextPacket(this.#demuxed)
    while (this.#demuxed && this.#isTrimmed(this.#demuxed))
    this.#head = await this.#checked(this.#demuxed)
  }

  /**
   * When the first frame is shown, and how long before it is shown a frame must be decoded at least: judged by the
   * first frames, so call it before `advance`.
   */
  async lookAhead(): Promise<{ readonly earliest: number; readonly reorderSeconds: number }> {
    const times = [this.first.timestamp]
    let packet = this.#demuxed && (await this.#sink.getNextPacket(this.#demuxed, METADATA))
    for (; packet && times.length < REORDER_FRAMES;) {
      if (isInside(packet.timestamp, this.#span)) times.push(packet.timestamp)
      else if (packet.timestamp >= this.#span.end) break
      packet = await this.#sink.getNextPacket(packet, METADATA)
    }
    const shown = times.toSorted((a, b) => a - b)
    // The last frames may belong behind frames that were not looked at.
    const judged = times.length < REORDER_FRAMES ? times : times.slice(0, -MAX_HELD_BACK)
    const reorderSeconds = judged.reduce((most, time, index) => Math.max(most, (shown[index] ?? time) - time), 0)
    return { earliest: shown[0] ?? this.first.timestamp, reorderSeconds }
  }

  #isTrimmed(packet: EncodedPacket): boolean {
    if (isInside(packet.timestamp, this.#span)) {
      // Frames behind the end may refer to frames that are left out.
      if (this.#isPastEnd && this.#track instanceof InputVideoTrack)
        throw new CannotPackage(`Its video ${NOT_ON_KEY_FRAME}`)
      return false
    }
    this.#isPastEnd ||= packet.timestamp >= this.#span.end
    this.#trimmed++
    return true
  }

  /** Containers mark as key frames some that are none; a segment that began with one could not be played alone. */
  async #checked(packet: EncodedPacket | null): Promise<EncodedPacket | null> {
    if (packet?.type !== 'key' || !(this.#track instanceof InputVideoTrack)) return packet
    return (await this.#track.determinePacketType(packet)) === 'delta' ? packet.clone({ type: 'delta' }) : packet
  }
}

interface Begin {
  readonly sink: EncodedPacketSink
  readonly span: ShownSpan
  readonly first: EncodedPacket
  /** Packets before it that are left out. */
  readonly trimmed: number
}

type FirstPacket = Pick<Begin, 'first' | 'trimmed'>

async function beginVideo(sink: EncodedPacketSink, span: ShownSpan): Promise<FirstPacket | string> {
  const begin = await sink.getFirstPacket(METADATA)
  const isTrimmed = begin !== null && begin.timestamp < span.start
  const first = isTrimmed ? await keyFrameFrom(sink, span) : await sink.getFirstKeyPacket(VERIFIED)
  if (!first) return NOTHING_TO_DECODE
  if (!isInside(first.timestamp, span) || !(await endsCleanly(sink, span))) return NOT_ON_KEY_FRAME
  if (!isTrimmed) return { first, trimmed: 0 }
  let [packet, trimmed]: [EncodedPacket | null, number] = [begin, 0]
  for (; packet && packet.sequenceNumber < first.sequenceNumber; trimmed++) {
    if (packet.timestamp >= span.start) return NOT_ON_KEY_FRAME
    packet = await sink.getNextPacket(packet, METADATA)
  }
  return (await hasLeading(sink, first, span)) ? NOT_ON_KEY_FRAME : { first, trimmed }
}

/** Follows the first byte of a key frame of VP9, except in profile 3, where it is not at a byte. */
const VP9_SYNC = [0x49, 0x83, 0x42]
const VP9_PROFILE_3 = 0x30

/** A container marks as key frames even packets that are no frame of its codec. */
async function beginsDecoding(track: InputVideoTrack, first: EncodedPacket): Promise<boolean> {
  if ((await track.determinePacketType(first)) !== 'key') return false
  const profile = (first.data[0] ?? 0) & VP9_PROFILE_3
  if ((await track.getCodec()) !== 'vp9' || profile === VP9_PROFILE_3) return true
  return VP9_SYNC.every((byte, index) => first.data[index + 1] === byte)
}

/** Whether frames shown before the key frame are decoded after it: they refer to frames that are trimmed off. */
async function hasLeading(sink: EncodedPacketSink, first: EncodedPacket, span: ShownSpan): Promise<boolean> {
  let packet = await sink.getNextPacket(first, METADATA)
  for (let count = 0; packet && count < REORDER_FRAMES; count++) {
    if (packet.timestamp < first.timestamp && isInside(packet.timestamp, span)) return true
    packet = await sink.getNextPacket(packet, METADATA)
  }
  return false
}

/** The first key frame that is shown. */
async function keyFrameFrom(sink: EncodedPacketSink, span: ShownSpan): Promise<EncodedPacket | null> {
  const last = await sink.getKeyPacket(span.start + 2 * span.tolerance, VERIFIED)
  if (!last || last.timestamp >= span.start) return last
  return sink.getNextKeyPacket(last, VERIFIED)
}

/** Whether no frame that is shown is decoded after one that is not. Fragmented files are judged while they are read. */
async function endsCleanly(sink: EncodedPacketSink, { end, isIndexed }: ShownSpan): Promise<boolean> {
  if (end === Infinity || !isIndexed) return true
  let packet = await sink.getKeyPacket(end, METADATA)
  let isPastEnd = false
  for (let count = 0; packet && count < MAX_PACKETS_AT_END; count++) {
    if (packet.timestamp >= end) isPastEnd = true
    else if (isPastEnd) return false
    packet = await sink.getNextPacket(packet, METADATA)
  }
  return true
}

/** Any audio packet can be decoded alone, apart from priming. */
async function beginAudio(sink: EncodedPacketSink, span: ShownSpan): Promise<FirstPacket | string> {
  const first = await sink.getFirstKeyPacket(VERIFIED)
  if (!first || span.leftOutSeconds <= MAX_PRIMING_SECONDS) return first ? { first, trimmed: 0 } : 'is empty'
  let trimmed = 0
  let [before, packet]: [EncodedPacket, EncodedPacket | null] = [first, first]
  for (; packet && packet.timestamp + packet.duration <= span.start; trimmed++) {
    before = packet
    packet = await sink.getNextPacket(packet, METADATA)
  }
  const shown = packet && packet !== first ? await sink.getNextPacket(before) : packet
  return shown ? { first: shown, trimmed } : 'is empty'
}
