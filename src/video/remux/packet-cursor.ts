import { EncodedPacketSink, InputVideoTrack } from 'mediabunny'
import type { EncodedPacket, InputTrack } from 'mediabunny'

/** Pictures that a codec holds back at most. */
const MAX_HELD_BACK = 16
const REORDER_FRAMES = 64

/**
 * Goes through the packets of a track in decoding order. Packets are asked for one by one: the demuxer's own iteration
 * keeps ahead what was used up in the last second, which for copying is hundreds of megabytes.
 */
export class PacketCursor {
  readonly #sink: EncodedPacketSink
  readonly #track: InputTrack
  /** With bytes of its own: it is needed as long as there are segments. */
  readonly first: EncodedPacket
  #head: EncodedPacket | null
  /** The head as the demuxer gave it out, by which it knows what comes next. */
  #given: EncodedPacket | null

  private constructor(track: InputTrack, sink: EncodedPacketSink, first: EncodedPacket) {
    this.#track = track
    this.#sink = sink
    this.first = first.clone({ data: first.data.slice() })
    this.#head = first
    this.#given = first
  }

  /** At the first packet that can be decoded alone; `null` when there is none. */
  static async open(track: InputTrack): Promise<PacketCursor | null> {
    const sink = new EncodedPacketSink(track)
    const first = await sink.getFirstKeyPacket({ verifyKeyPackets: true })
    return first && new PacketCursor(track, sink, first)
  }

  get head(): EncodedPacket | null {
    return this.#head
  }

  async advance(): Promise<void> {
    if (this.#given) this.#given = await this.#sink.getNextPacket(this.#given)
    this.#head = await this.#checked(this.#given)
  }

  /** How long before it is shown a picture must be decoded at least, judged by the first few; ask before going on. */
  async reorderSeconds(): Promise<number> {
    const times = [this.first.timestamp]
    let packet = this.#given && (await this.#sink.getNextPacket(this.#given, { metadataOnly: true }))
    for (; packet && packet.type !== 'key' && times.length < REORDER_FRAMES;) {
      times.push(packet.timestamp)
      packet = await this.#sink.getNextPacket(packet, { metadataOnly: true })
    }
    const shown = times.toSorted((a, b) => a - b)
    // The last ones that were looked at may belong behind pictures that were not.
    const judged = times.length < REORDER_FRAMES ? times : times.slice(0, -MAX_HELD_BACK)
    return judged.reduce((most, time, index) => Math.max(most, (shown[index] ?? time) - time), 0)
  }

  /** Containers mark key frames that are none; a segment that began with one could not be played alone. */
  async #checked(packet: EncodedPacket | null): Promise<EncodedPacket | null> {
    if (packet?.type !== 'key' || !(this.#track instanceof InputVideoTrack)) return packet
    return (await this.#track.determinePacketType(packet)) === 'delta' ? packet.clone({ type: 'delta' }) : packet
  }
}
