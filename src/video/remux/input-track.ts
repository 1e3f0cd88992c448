import type { AudioCodec, InputAudioTrack, InputVideoTrack, VideoCodec } from 'mediabunny'

import { PacketCursor } from './packet-cursor.ts'

/** What browsers play out of MP4. */
const VIDEO_CODECS: ReadonlySet<string> = new Set<VideoCodec>(['avc', 'hevc', 'vp9', 'av1'])
const AUDIO_CODECS: ReadonlySet<string> = new Set<AudioCodec>(['aac', 'mp3', 'opus', 'flac'])

/** Names of sample entries in MP4, where the demuxer says another. */
const SAMPLE_ENTRIES: Readonly<Record<string, string>> = { mp3: 'mp4a.6B', opus: 'Opus', flac: 'fLaC' }

/** A track that can be copied, and where reading it stands. */
export type CopiedTrack = CopiedVideo | CopiedAudio

interface Copied {
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

/** @returns the track, or in a few words why it cannot be copied */
export async function copiedVideo(track: InputVideoTrack): Promise<CopiedVideo | string> {
  const codec = await track.getCodec()
  if (codec === null || !VIDEO_CODECS.has(codec)) return `is in a format (${codec ?? 'unknown'}) that cannot be copied`
  const [config, codecs, cursor] = [
    await track.getDecoderConfig(),
    await track.getCodecParameterString(),
    await PacketCursor.open(track),
  ]
  if (!config || codecs === null) return 'lacks what a decoder needs to know'
  if (!cursor) return 'has no picture to begin with'
  // The muxer's sample entry for HEVC, whatever that of the film is.
  return { kind: 'video', track, codec, config, codecs: codecs.replace(/^hev1/, 'hvc1'), cursor }
}

/** @returns the track, or in a few words why it cannot be copied */
export async function copiedAudio(track: InputAudioTrack): Promise<CopiedAudio | string> {
  const codec = await track.getCodec()
  if (codec === null || !AUDIO_CODECS.has(codec)) return `is in a format (${codec ?? 'unknown'}) that cannot be copied`
  const [config, codecs, cursor] = [
    await track.getDecoderConfig(),
    await track.getCodecParameterString(),
    await PacketCursor.open(track),
  ]
  if (!config || codecs === null) return 'lacks what a decoder needs to know'
  return cursor ? { kind: 'audio', track, codec, config, codecs: SAMPLE_ENTRIES[codecs] ?? codecs, cursor } : 'is empty'
}
