import type { AudioCodec, InputAudioTrack, InputTrack, InputVideoTrack, VideoCodec } from 'mediabunny'

import type { DeclaredTrack } from '../checks/declared.ts'
import type { PackagedTrack } from '../packager.ts'
import { PacketCursor } from './packet-cursor.ts'
import { shownSpan } from './shown-span.ts'

/** What browsers play out of MP4. */
const VIDEO_CODECS: ReadonlySet<string> = new Set<VideoCodec>(['avc', 'hevc', 'vp9', 'av1'])
const AUDIO_CODECS: ReadonlySet<string> = new Set<AudioCodec>(['aac', 'mp3', 'opus', 'flac'])

/** Names of sample entries in MP4 that the demuxer names otherwise. */
const SAMPLE_ENTRIES: Readonly<Record<string, string>> = { mp3: 'mp4a.6B', opus: 'Opus', flac: 'fLaC' }

/** A track that can be copied, and the position of its reader. */
export type CopiedTrack = CopiedVideo | CopiedAudio

interface Copied {
  /** `null` for containers that declare nothing. */
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

/** @returns the track, or why it cannot be copied: the end of a sentence */
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

/** @returns the track, or why it cannot be copied: the end of a sentence */
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

/** Demuxers and containers give all three layers of MPEG audio one name; browsers play the third. */
function isLayer3(frame: Uint8Array): boolean {
  return ((frame[1] ?? 0) & 0x06) === 0x02
}

/** Packets that the frame rate is taken from. */
const RATE_PACKETS = 60
const MAX_NAME_CHARACTERS = 255

export type Description = Omit<PackagedTrack, 'codecs' | 'bytes' | 'layout'>

/**
 * What a player shows or chooses by.
 * @param tracks in one file
 */
export async function describeTrack(tracks: readonly CopiedTrack[]): Promise<Description> {
  const video = tracks.find(track => track.kind === 'video')
  const audio = tracks.find(track => track.kind === 'audio')
  return { ...(video && (await describeVideo(video))), ...(audio && (await choiceOf(audio.track))) }
}

async function describeVideo({ track }: CopiedVideo): Promise<Description> {
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()]
  const shown = [width, height].every(side => Number.isFinite(side) && side >= 1)
  const { averagePacketRate } = await track.computePacketStats(RATE_PACKETS)
  const frameRate = Math.round(averagePacketRate * 1000) / 1000
  return {
    ...(shown && { width: Math.round(width), height: Math.round(height) }),
    ...(frameRate > 0 && frameRate <= 1000 && { frameRate }),
  }
}

/** What people choose an audio track by. */
export async function choiceOf(track: InputTrack): Promise<Pick<PackagedTrack, 'language' | 'name' | 'isDefault'>> {
  const language = languageTag(await track.getLanguageCode())
  const name = (await track.getName())?.slice(0, MAX_NAME_CHARACTERS)
  const isDefault = (await track.getDisposition()).default
  return { ...(language !== null && { language }), ...(name && { name }), ...(isDefault && { isDefault }) }
}

/** ISO 639-2 as BCP 47, which prefers two letters; `null` for "undetermined". */
function languageTag(code: string): string | null {
  try {
    const tag = Intl.getCanonicalLocales(code)[0]
    return tag === undefined || tag === 'und' ? null : tag
  } catch {
    return null
  }
}
