import type { StreamFacts } from './facts.ts'
import { labelsOf, type Labels } from './labels.ts'
import { MAX_SUBTITLES } from './ladder-limits.ts'

export interface SubtitlePlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  readonly isForced: boolean
}

/** What ffmpeg can turn into WebVTT; others are pictures. */
const TEXT = ['subrip', 'srt', 'ass', 'ssa', 'webvtt', 'mov_text', 'text', 'microdvd', 'sami', 'subviewer']

/** Adds to `notes` what is left out. */
export function planSubtitles(streams: readonly StreamFacts[], notes: string[]): SubtitlePlan[] {
  const all = streams.filter(each => each.codec_type === 'subtitle')
  const readable = all.filter(each => TEXT.includes(each.codec_name ?? ''))
  if (readable.length < all.length) notes.push('Subtitles that are pictures, not text, are left out.')
  if (readable.length > MAX_SUBTITLES) notes.push(`Only the first ${MAX_SUBTITLES} subtitles are kept.`)
  return readable
    .slice(0, MAX_SUBTITLES)
    .map(each => ({ stream: each.index, ...labelsOf(each), isForced: each.disposition?.forced === true }))
}
