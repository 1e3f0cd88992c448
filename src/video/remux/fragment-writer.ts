import {
  EncodedAudioPacketSource,
  EncodedVideoPacketSource,
  Mp4OutputFormat,
  NullTarget,
  Output,
  StreamTarget,
} from 'mediabunny'
import type { EncodedPacket, StreamTargetChunk, Target } from 'mediabunny'

import { bodyOf, boxesIn, BrokenBoxes, viewOf, type Box } from '../mp4/boxes.ts'
import { readFragment, writeFragment, type FragmentTrack, type WrittenTrack } from '../mp4/fragment.ts'
import { clearTimes } from '../mp4/movie.ts'
import { DecodeClock } from './decode-clock.ts'
import type { CopiedTrack } from './input-track.ts'

/** A player shows nothing of a fragment before its last byte has come. */
const FRAGMENT_SECONDS = 0.5
/** Of one segment. */
const MAX_PARTS = 100

/** A movie fragment, its boxes complete. */
export interface WrittenFragment {
  readonly moof: Uint8Array<ArrayBuffer>
  /** In pieces, some of which are small. */
  readonly mediaData: readonly Uint8Array<ArrayBuffer>[]
}

interface MuxedBox extends Box {
  /** With the header. */
  readonly bytes: Uint8Array<ArrayBuffer>
}

type PacketSource = { add(packet: EncodedPacket): Promise<void> }

/**
 * Makes the pieces of one fragmented MP4 file. Every fragment comes out of a muxer of its own: one muxer for the film
 * would hold a record of every packet until the end, and would choose the cuts. All muxers know the same tracks, so
 * their fragments share one initialization segment.
 */
export class FragmentWriter {
  readonly #tracks: readonly CopiedTrack[]
  readonly #clock: DecodeClock
  #fragments = 0

  /** @param leadSeconds how long before it is shown a frame is decoded */
  constructor(tracks: readonly CopiedTrack[], leadSeconds: number) {
    this.#tracks = tracks
    this.#clock = new DecodeClock(leadSeconds)
  }

  async init(): Promise<Uint8Array<ArrayBuffer>> {
    const init = (await this.#mux([])).filter(({ type }) => type === 'ftyp' || type === 'moov')
    for (const { type, body } of init) {
      if (type !== 'moov') continue
      clearTimes(body)
      this.#clock.readMoov(body)
    }
    return joined(init.map(({ bytes }) => bytes))
  }

  /**
   * Fragments (`moof` and `mdat`) of about half a second each, with the samples in them.
   * @param packets of each track, in decoding order; those of video begin with a key frame
   * @param seconds how long they last
   */
  async fragments(packets: readonly (readonly EncodedPacket[])[], seconds: number): Promise<WrittenFragment[]> {
    const parts = Math.min(MAX_PARTS, Math.max(1, Math.round(seconds / FRAGMENT_SECONDS)))
    const { moofs, samples } = await this.#muxed(packets)
    const how = { parts, retime: this.#clock.retime, nextSequence: () => ++this.#fragments }
    return moofs
      .flatMap(moof => splitFragment(moof, samples, how))
      .map(({ moof, samples: within }) => ({
        moof,
        mediaData: [mediaDataHeader(within), ...within] as Uint8Array<ArrayBuffer>[],
      }))
  }

  /** Content of one `moof`, or of none, and its samples in the order of its tracks. */
  async #muxed(
    packets: readonly (readonly EncodedPacket[])[],
  ): Promise<{ readonly moofs: readonly DataView[]; readonly samples: readonly Uint8Array[] }> {
    if (this.#tracks.some(isRewritten)) {
      const boxes = await this.#mux(packets)
      const ofType = (wanted: string) => boxes.filter(({ type }) => type === wanted).map(({ body }) => body)
      const [moofs, mediaData] = [ofType('moof'), ofType('mdat')]
      return { moofs, samples: moofs.flatMap((moof, index) => samplesOf(moof, bytesOf(mediaData[index]))) }
    }
    const moofs: DataView[] = []
    await this.#write(new NullTarget(), packets, moof => moofs.push(bodyOf(new Uint8Array(moof))))
    return { moofs, samples: packets.flat().map(({ data }) => data) }
  }

  async #mux(packets: readonly (readonly EncodedPacket[])[]): Promise<MuxedBox[]> {
    const written = new AppendedBytes()
    await this.#write(new StreamTarget(written.stream), packets)
    return written.chunks.flatMap(chunk =>
      Array.from(boxesIn(viewOf(chunk)), box => ({ ...box, bytes: chunk.subarray(box.startsAt, box.endsAt) })),
    )
  }

  async #write(
    target: Target,
    packets: readonly (readonly EncodedPacket[])[],
    onMoof: (moof: Uint8Array) => void = () => undefined,
  ): Promise<void> {
    const format = new Mp4OutputFormat({ fastStart: 'fragmented', minimumFragmentDuration: Infinity, onMoof })
    const output = new Output({ format, target })
    const sources: PacketSource[] = []
    // In sequence: samples lie in the order in which tracks were added.
    for (const track of this.#tracks) sources.push(await addTrack(output, track))
    await output.start()
    for (const [index, source] of sources.entries()) {
      for (const packet of packets[index] ?? []) await source.add(packet)
    }
    await output.finalize()
  }
}

/** Whether the muxer changes samples: those of TS have start codes. Other samples need not go through it. */
function isRewritten({ config }: CopiedTrack): boolean {
  return config.description === undefined && /^(avc|hev|hvc|mp4a)/.test(config.codec)
}

function bytesOf(view: DataView | undefined): Uint8Array {
  return view ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : new Uint8Array(0)
}

function mediaDataHeader(samples: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const header = new TextEncoder().encode('    mdat')
  const length = samples.reduce((sum, sample) => sum + sample.byteLength, header.byteLength)
  new DataView(header.buffer).setUint32(0, length)
  return header
}

async function addTrack(output: Output, copied: CopiedTrack): Promise<PacketSource> {
  // Known ahead: a fragment need not hold packets of every track.
  const metadata = { primingPacket: copied.cursor.first }
  if (copied.kind === 'audio') {
    const source = new EncodedAudioPacketSource(copied.codec)
    output.addAudioTrack(source, { ...metadata, decoderConfig: copied.config })
    return source
  }
  const source = new EncodedVideoPacketSource(copied.codec)
  const transformationMatrix = await copied.track.getTransformationMatrix()
  output.addVideoTrack(source, { ...metadata, decoderConfig: copied.config, transformationMatrix })
  return source
}

/** Takes what a muxer writes from front to back. */
class AppendedBytes {
  readonly chunks: Uint8Array<ArrayBuffer>[] = []
  #position = 0

  readonly stream = new WritableStream<StreamTargetChunk>({
    write: ({ data, position }) => {
      if (position !== this.#position) throw new RangeError('The muxer went back in its file')
      this.#position += data.byteLength
      this.chunks.push(data)
    },
  })
}

function joined(parts: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

interface SplitOptions {
  /** How many there are to be; fewer when there are fewer samples. */
  readonly parts: number
  /** Gives a track its times. */
  readonly retime: (track: FragmentTrack) => FragmentTrack
  readonly nextSequence: () => number
}

/**
 * Splits a movie fragment into several of a part of its time each. A player shows nothing of a fragment before its last
 * byte has come, so the first frame waits for a small fragment instead of for a segment.
 * @param moof content of the box
 * @param samples of the fragment: those of the first track, then those of the next
 */
function splitFragment(
  moof: DataView,
  samples: readonly Uint8Array[],
  { parts, retime, nextSequence }: SplitOptions,
): { readonly moof: Uint8Array<ArrayBuffer>; readonly samples: readonly Uint8Array[] }[] {
  let first = 0
  const timed = readFragment(moof).map(written => {
    const track = retime(withTime(written))
    const data = samples.slice(first, (first += track.samples.length))
    return { track, data, borders: bordersOf(track, parts) }
  })
  return Array.from({ length: parts }, (_, part) => {
    const within = timed.map(({ track, data, borders }) => {
      const [from = 0, to = 0] = borders.slice(part, part + 2)
      return { track: partOf(track, from, to), data: data.slice(from, to) }
    })
    return within.filter(({ data }) => data.length > 0)
  })
    .filter(within => within.length > 0)
    .map(within => ({
      moof: writeFragment(
        nextSequence(),
        within.map(({ track }) => track),
      ),
      samples: within.flatMap(({ data }) => data),
    }))
}

function withTime({ trackId, decodeTime, samples }: WrittenTrack): FragmentTrack {
  if (decodeTime === null) throw new BrokenBoxes('A fragment has no decode time')
  return { trackId, decodeTime, samples }
}

/** The samples of a fragment, which lie in its media data one behind the other. */
function samplesOf(moof: DataView, mediaData: Uint8Array): Uint8Array[] {
  let at = 0
  return readFragment(moof).flatMap(({ samples }) => samples.map(({ size }) => mediaData.subarray(at, (at += size))))
}

/** Where each part begins, and the last one ends: indexes of samples. */
function bordersOf({ samples }: FragmentTrack, parts: number): number[] {
  const total = samples.reduce((sum, { duration }) => sum + duration, 0)
  const borders = [0]
  let elapsed = 0
  for (const [index, { duration }] of samples.entries()) {
    while (borders.length < parts && elapsed >= (total * borders.length) / parts) borders.push(index)
    elapsed += duration
  }
  while (borders.length <= parts) borders.push(samples.length)
  return borders
}

function partOf(track: FragmentTrack, from: number, to: number): FragmentTrack {
  const before = track.samples.slice(0, from).reduce((sum, { duration }) => sum + duration, 0)
  return { ...track, decodeTime: track.decodeTime + before, samples: track.samples.slice(from, to) }
}
