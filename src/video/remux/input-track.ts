import type { AudioCodec, InputAudioTrack, InputVideoTrack, VideoCodec } from 'mediabunny'

import type { DeclaredTrack } from '../checks/declared.ts'
import { PacketCursor } from './packet-cursor.ts'
import { shownSpan } from './shown-span.ts'

/** What browsers play out of MP4. */
const VIDEO_CODECS: ReadonlySet<string> = new Set<VideoCodec>(['avc', 'hevc', 'vp9', 'av1'])
const AUDIO_CODECS: ReadonlySet<string> = new Set<AudioCodec>(['aac', 'mp3', 'opus', 'flac'])

/** Names of sample entries in MP4, where the demuxer says another. */
const SAMPLE_ENTRIES: Readonly<Record<string, string>> = { mp3: 'mp4a.6B', opus: 'Opus', flac: 'fLaC' }

/** A track that can be copied, and where reading it stands. */
export type CopiedTrack = CopiedVideo | CopiedAudio

interface Copied {
  /** What its file says of it, where files of its kind say something. */
  readonly declared: DeclaredTrack | null
  /** RFC 6381. */
  readonly codecs: string
  readonly cursor: PacketCursor
}

export interface CopiedVideo extends Copied {
  readonly kind: 'video'
  readonly track: InputVideoTrack
  readonly codec: VideoCodec
  readonly config: VideoDecoderConfig
}

export interface CopiedAudio extends Copied {
  readonly kind: 'audio'
  readonly track: InputAudioTrack
  readonly codec: AudioCodec
  readonly config: AudioDecoderConfig
}

export const ENCODED_BY_CONTAINER = 'is compressed or encrypted by its container'

/** @param codec absent or `unknown` where neither demuxer nor tables name it */
export const cannotBeCopied = (codec = 'unknown'): string =>
  codec === 'unknown' ? 'is in an unknown format' : `is in a format (${codec}) that cannot be copied`

/** @returns the track, or in a few words why it cannot be copied */
export async function copiedVideo(
  track: InputVideoTrack,
  declared: DeclaredTrack | null = null,
): Promise<CopiedVideo | string> {
  if (declared?.isEncoded) return ENCODED_BY_CONTAINER
  const codec = await track.getCodec()
  if (codec === null || !VIDEO_CODECS.has(codec)) return cannotBeCopied(codec ?? declared?.codec)
  const [config, codecs] = [await track.getDecoderConfig(), await track.getCodecParameterString()]
  if (!config || codecs === null) return 'lacks what a decoder needs to know'
  const span = shownSpan(declared)
  const cursor = typeof span === 'string' ? span : await PacketCursor.open(track, span)
  if (typeof cursor === 'string') return cursor
  // The muxer's sample entry for HEVC, whatever that of the film is.
  return { kind: 'video', track, codec, config, codecs: codecs.replace(/^hev1/, 'hvc1'), cursor, declared }
}

/** @returns the track, or in a few words why it cannot be copied */
export async function copiedAudio(
  track: InputAudioTrack,
  declared: DeclaredTrack | null = null,
): Promise<CopiedAudio | string> {
  if (declared?.isEncoded) return ENCODED_BY_CONTAINER
  const codec = await track.getCodec()
  if (codec === null || !AUDIO_CODECS.has(codec)) return cannotBeCopied(codec ?? declared?.codec)
  const [config, codecs] = [await track.getDecoderConfig(), await track.getCodecParameterString()]
  if (!config || codecs === null) return 'lacks what a decoder needs to know'
  const span = shownSpan(declared)
  const cursor = typeof span === 'string' ? span : await PacketCursor.open(track, span)
  if (typeof cursor === 'string') return cursor
  if (codec === 'mp3' && !isLayer3(cursor.first.data)) return cannotBeCopied('MPEG audio, but not MP3')
  return { kind: 'audio', track, codec, config, codecs: SAMPLE_ENTRIES[codecs] ?? codecs, cursor, declared }
}

/** Of a frame of MPEG audio: demuxers and containers call all three layers by one name, and browsers play the third. */
function isLayer3(frame: Uint8Array): boolean {
  return ((frame[1] ?? 0) & 0x06) === 0x02
}
