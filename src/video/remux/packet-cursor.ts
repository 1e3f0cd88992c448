import { EncodedPacketSink, InputVideoTrack } from 'mediabunny'
import type { EncodedPacket, InputTrack } from 'mediabunny'

import { CannotPackage } from '../packager.ts'
import { ALL_OF_IT, isInside } from './shown-span.ts'
import type { ShownSpan } from './shown-span.ts'

/** Pictures that a codec holds back at most. */
const MAX_HELD_BACK = 16
const REORDER_FRAMES = 64
/**
 * Sound that an edit list leaves out at the beginning and a decoder needs all the same: what encoders put before the
 * first of it. HE-AAC has most, some 5,000 samples.
 */
const MAX_PRIMING_SECONDS = 0.15
/** Packets behind the end of a trimmed film that are looked at. */
const MAX_PACKETS_AT_END = 10_000
const METADATA = { metadataOnly: true } as const
const VERIFIED = { verifyKeyPackets: true } as const

const NOTHING_TO_DECODE = 'has no frame that can be decoded alone'
const NOT_ON_KEY_FRAME = 'is trimmed by its edit list, and cannot be shown without frames that were trimmed off'

/**
 * Goes through the packets of a track in decoding order, as far as they are shown. Packets are asked for one by one: the
 * demuxer's own iteration keeps ahead what was used up in the last second, which for copying is hundreds of megabytes.
 */
export class PacketCursor {
  /** With bytes of its own: it is needed as long as there are segments. */
  readonly first: EncodedPacket
  readonly #sink: EncodedPacketSink
  readonly #track: InputTrack
  readonly #span: ShownSpan
  #head: EncodedPacket | null
  /** The head as the demuxer gave it out, by which it knows what comes next. */
  #given: EncodedPacket | null
  #trimmed: number
  #isPastEnd = false

  private constructor(track: InputTrack, { sink, span, first, trimmed }: Begin) {
    this.#track = track
    this.#sink = sink
    this.#span = span
    this.#trimmed = trimmed
    this.first = first.clone({ data: first.data.slice() })
    this.#head = first
    this.#given = first
  }

  /**
   * At the first packet that is shown and can be decoded alone.
   * @returns why the track cannot be copied, in a few words, when there is none
   */
  static async open(track: InputTrack, span: ShownSpan = ALL_OF_IT): Promise<PacketCursor | string> {
    const sink = new EncodedPacketSink(track)
    const isVideo = track instanceof InputVideoTrack
    const begin = isVideo ? await beginVideo(sink, span) : await beginAudio(sink, span)
    if (typeof begin === 'string') return begin
    if (isVideo && !(await beginsDecoding(track, begin.first))) return NOTHING_TO_DECODE
    return new PacketCursor(track, { sink, span: isVideo ? span : { ...span, start: ALL_OF_IT.start }, ...begin })
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
    do if (this.#given) this.#given = await this.#sink.getNextPacket(this.#given)
    while (this.#given && this.#isTrimmed(this.#given))
    this.#head = await this.#checked(this.#given)
  }

  /**
   * When the first picture is shown, and how long before it is shown a picture must be decoded at least: judged by the
   * first few, so ask before going on.
   */
  async lookAhead(): Promise<{ readonly earliest: number; readonly reorderSeconds: number }> {
    const times = [this.first.timestamp]
    let packet = this.#given && (await this.#sink.getNextPacket(this.#given, METADATA))
    for (; packet && times.length < REORDER_FRAMES;) {
      if (isInside(packet.timestamp, this.#span)) times.push(packet.timestamp)
      else if (packet.timestamp >= this.#span.end) break
      packet = await this.#sink.getNextPacket(packet, METADATA)
    }
    const shown = times.toSorted((a, b) => a - b)
    // The last ones that were looked at may belong behind pictures that were not.
    const judged = times.length < REORDER_FRAMES ? times : times.slice(0, -MAX_HELD_BACK)
    const reorderSeconds = judged.reduce((most, time, index) => Math.max(most, (shown[index] ?? time) - time), 0)
    return { earliest: shown[0] ?? this.first.timestamp, reorderSeconds }
  }

  #isTrimmed(packet: EncodedPacket): boolean {
    if (isInside(packet.timestamp, this.#span)) {
      // What comes behind may have been made of what is left out.
      if (this.#isPastEnd && this.#track instanceof InputVideoTrack)
        throw new CannotPackage(`Its video ${NOT_ON_KEY_FRAME}`)
      return false
    }
    this.#isPastEnd ||= packet.timestamp >= this.#span.end
    this.#trimmed++
    return true
  }

  /** Containers mark key frames that are none; a segment that began with one could not be played alone. */
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

/** A container marks as key frames also what is no frame of its codec at all. */
async function beginsDecoding(track: InputVideoTrack, first: EncodedPacket): Promise<boolean> {
  if ((await track.determinePacketType(first)) !== 'key') return false
  const profile = (first.data[0] ?? 0) & VP9_PROFILE_3
  if ((await track.getCodec()) !== 'vp9' || profile === VP9_PROFILE_3) return true
  return VP9_SYNC.every((byte, index) => first.data[index + 1] === byte)
}

/** Whether frames that are shown before the key frame are decoded after it: they are made of what is trimmed off. */
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

/** Whether no frame that is shown is decoded after one that is not. A film in fragments is judged while it is read. */
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

/** Any packet of sound can be decoded alone, but for what its encoder put before it. */
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
