import { EncodedPacketSink, InputVideoTrack } from 'mediabunny'
import type { EncodedPacket, InputTrack } from 'mediabunny'

/**
 * Goes through the packets of a track in decoding order. Packets are asked for one by one: the demuxer's own iteration
 * keeps ahead what was used up in the last second, which for copying is hundreds of megabytes.
 */
export class PacketCursor {
  readonly #sink: EncodedPacketSink
  readonly #track: InputTrack
  readonly first: EncodedPacket
  #head: EncodedPacket | null

  private constructor(track: InputTrack, sink: EncodedPacketSink, first: EncodedPacket) {
    this.#track = track
    this.#sink = sink
    this.first = first
    this.#head = first
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
    if (this.#head) this.#head = await this.#checked(await this.#sink.getNextPacket(this.#head))
  }

  /** Containers mark key frames that are none; a segment that began with one could not be played alone. */
  async #checked(packet: EncodedPacket | null): Promise<EncodedPacket | null> {
    if (packet?.type !== 'key' || !(this.#track instanceof InputVideoTrack)) return packet
    return (await this.#track.determinePacketType(packet)) === 'delta' ? packet.clone({ type: 'delta' }) : packet
  }
}
