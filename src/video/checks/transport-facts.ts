import type { RandomSource } from '../../client/api/source-and-sink.ts'
import type { DeclaredFilm, DeclaredTrack } from './declared.ts'

/** ISO/IEC 13818-1, 2.4.3 and 2.4.4. */
const PACKET_BYTES = 188
const SYNC = 0x47
const PROGRAM_TABLE = 0
const PROGRAM_MAP = 2
const NO_NETWORK = 0
/** A table comes several times a second. */
const SCAN_BYTES = 4 * 1024 * 1024
const READ_BYTES = 256 * 1024

const VIDEO: ReadonlyMap<number, string> = new Map([
  [0x01, 'MPEG-1'],
  [0x02, 'MPEG-2'],
  [0x10, 'MPEG-4 part 2'],
  [0x1b, 'H.264'],
  [0x24, 'H.265'],
  [0x33, 'H.266'],
  [0xea, 'VC-1'],
])
const AUDIO: ReadonlyMap<number, string> = new Map([
  [0x03, 'MPEG-1 audio'],
  [0x04, 'MPEG-2 audio'],
  [0x0f, 'AAC'],
  [0x11, 'AAC in LATM'],
  [0x81, 'AC-3'],
  [0x82, 'DTS'],
  [0x83, 'TrueHD'],
  [0x84, 'E-AC-3'],
  [0x85, 'DTS-HD'],
  [0x86, 'DTS-HD'],
  [0x87, 'E-AC-3'],
])
const BLU_RAY = 'HDMV'
const BLU_RAY_PCM = 0x80
const PRIVATE_DATA = 0x06
/** Descriptors that say what private data is. */
const AUDIO_DESCRIPTORS: ReadonlyMap<number, string> = new Map([
  [0x6a, 'AC-3'],
  [0x7a, 'E-AC-3'],
  [0x7b, 'DTS'],
  [0x7c, 'AAC'],
])

/**
 * What the program tables of a transport stream declare.
 * @param timeBytes before each packet, as cameras write them
 */
export async function transportFacts(
  source: RandomSource,
  { timeBytes, signal }: { readonly timeBytes: number; readonly signal: AbortSignal },
): Promise<DeclaredFilm | null> {
  const tables = new Tables()
  const step = timeBytes + PACKET_BYTES
  const end = Math.min(source.sizeBytes, SCAN_BYTES)
  for (let at = 0; at + step <= end && !tables.isDone;) {
    const bytes = await source.read(at, Math.min(end, at + Math.floor(READ_BYTES / step) * step), signal)
    for (let packet = timeBytes; packet + PACKET_BYTES <= bytes.byteLength; packet += step)
      tables.read(bytes.subarray(packet, packet + PACKET_BYTES))
    at += bytes.byteLength
  }
  if (!tables.tracks) return null
  return { tracks: tables.tracks, endSeconds: null, isSplit: false, countSamples: () => Promise.resolve(null) }
}

/** Reads tables that fit into a packet, as nearly all do. */
class Tables {
  tracks: DeclaredTrack[] | null = null
  readonly #maps = new Set<number>()
  /** Private data whose format no table names. */
  readonly #unexplained = new Set<number>()

  get isDone(): boolean {
    return this.tracks !== null && this.#unexplained.size === 0
  }

  read(packet: Uint8Array): void {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength)
    const header = view.getUint32(0)
    const [pid, begins, adapts] = [(header >> 8) & 0x1f_ff, (header & 0x40_00_00) !== 0, (header & 0x20) !== 0]
    const isTable = pid === PROGRAM_TABLE || this.#maps.has(pid)
    if (packet[0] !== SYNC || !begins || !(isTable || this.#unexplained.has(pid))) return
    const payload = 4 + (adapts ? 1 + view.getUint8(4) : 0)
    if (payload + 4 > PACKET_BYTES) return
    if (!isTable) {
      this.#explain(pid, view.getUint32(payload))
      return
    }
    const section = payload + 1 + view.getUint8(payload)
    if (section + 12 > PACKET_BYTES) return
    const end = section + 3 + (view.getUint16(section + 1) & 0x0f_ff) - 4
    const body = packet.subarray(section, Math.min(end, PACKET_BYTES))
    if (pid === PROGRAM_TABLE) this.#readPrograms(body)
    else if (body[0] === PROGRAM_MAP && !this.tracks) this.#readMap(body)
  }

  #readMap(section: Uint8Array): void {
    this.tracks = []
    const programEnd = 12 + (wordAt(section, 10) & 0x0f_ff)
    const isBluRay = new TextDecoder('latin1').decode(section.subarray(12, programEnd)).includes(BLU_RAY)
    for (let [at, next] = [programEnd, programEnd]; at + 5 <= section.byteLength; at = next) {
      next = at + 5 + (wordAt(section, at + 3) & 0x0f_ff)
      const [type, id] = [section[at] ?? 0, wordAt(section, at + 1) & 0x1f_ff]
      const video = VIDEO.get(type)
      const pcm = isBluRay && type === BLU_RAY_PCM ? 'PCM' : undefined
      const codec = video ?? pcm ?? AUDIO.get(type) ?? audioOf(type, section.subarray(at + 5, next))
      if (codec !== undefined) this.tracks.push(trackOf(video === undefined ? 'audio' : 'video', id, codec))
      else if (type === PRIVATE_DATA) this.#unexplained.add(id)
    }
  }

  /** @param start first bytes of its payload: only audio has these stream ids */
  #explain(id: number, start: number): void {
    this.#unexplained.delete(id)
    if (start >= 0x1_c0 && start < 0x1_e0) this.tracks?.push(trackOf('audio', id, 'unknown'))
  }

  #readPrograms(section: Uint8Array): void {
    for (let at = 8; at + 4 <= section.byteLength; at += 4)
      if (wordAt(section, at) !== NO_NETWORK) this.#maps.add(wordAt(section, at + 2) & 0x1f_ff)
  }
}

function trackOf(kind: DeclaredTrack['kind'], id: number, codec: string): DeclaredTrack {
  return { kind, id, codec, samples: null, edits: [], tickSeconds: 0, editTickSeconds: 0, isEncoded: false }
}

function audioOf(type: number, descriptors: Uint8Array): string | undefined {
  if (type !== PRIVATE_DATA) return undefined
  for (let at = 0; at + 2 <= descriptors.byteLength; at += 2 + (descriptors[at + 1] ?? 0)) {
    const codec = AUDIO_DESCRIPTORS.get(descriptors[at] ?? 0)
    if (codec !== undefined) return codec
    const registered = new TextDecoder('latin1').decode(descriptors.subarray(at + 2, at + 6))
    if (descriptors[at] === 0x05 && /^(AC-3|EAC3|DTS\d|Opus|BSSD)$/.test(registered)) return registered
  }
  return undefined
}

const wordAt = (bytes: Uint8Array, at: number): number => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)
