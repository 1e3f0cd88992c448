/** Which audio and subtitle tracks of a film are packaged, and the labels that people choose them by. */
import { MAX_AUDIO_TRACKS, MAX_SUBTITLES } from './ladder-limits.ts'
import type { StreamFacts } from './probe.ts'

export interface AudioPlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  /** 1 or 2. */
  readonly channels: number
}

/** The default track first. Adds to `notes` what is left out. */
export function planAudio(streams: readonly StreamFacts[], notes: string[]): AudioPlan[] {
  const audible = streams.filter(each => each.codec_type === 'audio' && (each.channels ?? 0) > 0)
  const tracks = audible.slice(0, MAX_AUDIO_TRACKS)
  if (tracks.length < audible.length) notes.push(`Only the first ${MAX_AUDIO_TRACKS} audio tracks are included.`)
  const first = tracks.find(each => each.disposition?.default === true) ?? tracks[0]
  const ordered = first ? [first, ...tracks.filter(each => each !== first)] : []
  return ordered.map(each => ({
    stream: each.index,
    channels: Math.min(2, each.channels ?? 2),
    ...labelsOf(each),
    isDefault: each === first,
  }))
}

export interface SubtitlePlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  readonly isForced: boolean
}

/** What ffmpeg converts to WebVTT; other formats are images. */
const TEXT = ['subrip', 'srt', 'ass', 'ssa', 'webvtt', 'mov_text', 'text', 'microdvd', 'sami', 'subviewer']

/** Adds to `notes` what is left out. */
export function planSubtitles(streams: readonly StreamFacts[], notes: string[]): SubtitlePlan[] {
  const all = streams.filter(each => each.codec_type === 'subtitle')
  const readable = all.filter(each => TEXT.includes(each.codec_name ?? ''))
  if (readable.length < all.length) notes.push('Subtitles that are images, not text, are left out.')
  if (readable.length > MAX_SUBTITLES) notes.push(`Only the first ${MAX_SUBTITLES} subtitles are included.`)
  return readable
    .slice(0, MAX_SUBTITLES)
    .map(each => ({ stream: each.index, ...labelsOf(each), isForced: each.disposition?.forced === true }))
}

/** What people choose a track by. */
export interface Labels {
  /** BCP 47. */
  readonly language?: string
  readonly name?: string
  readonly isDefault: boolean
}

const MAX_CHARACTERS = 200

export function labelsOf({ tags, disposition }: StreamFacts): Labels {
  const language = languageOf(tags?.language)
  const name = tags?.title?.trim().slice(0, MAX_CHARACTERS)
  return {
    ...(language !== undefined && { language }),
    ...(name !== undefined && name !== '' && { name }),
    isDefault: disposition?.default === true,
  }
}

/** Containers say `eng`, or `ger` for `deu`; BCP 47 wants the shortest. */
function languageOf(code: string | undefined): string | undefined {
  if (code === undefined || code === 'und' || code.length > 35) return undefined
  try {
    return Intl.getCanonicalLocales(BIBLIOGRAPHIC[code] ?? code)[0]
  } catch {
    return undefined
  }
}

/** ISO 639-2/B codes, which no other standard knows. */
const BIBLIOGRAPHIC: Readonly<Record<string, string>> = Object.fromEntries(
  [
    'alb sq arm hy baq eu bur my chi zh cze cs dut nl fre fr geo ka ger de',
    'gre el ice is mac mk mao mi may ms per fa rum ro slo sk tib bo wel cy',
  ].flatMap(line => Array.from(line.matchAll(/(\w+) (\w+)/g), ([, three = '', two = '']) => [three, two] as const)),
)
