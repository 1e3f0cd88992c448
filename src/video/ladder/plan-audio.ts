import type { StreamFacts } from './facts.ts'
import { MAX_AUDIO_TRACKS } from './ladder-limits.ts'
import { labelsOf, type Labels } from './labels.ts'

export interface AudioPlan extends Labels {
  /** Of the input's streams. */
  readonly stream: number
  /** 1 or 2. */
  readonly channels: number
}

/** The one that is played unless told otherwise first. Adds to `notes` what is left out. */
export function planAudio(streams: readonly StreamFacts[], notes: string[]): AudioPlan[] {
  const audible = streams.filter(each => each.codec_type === 'audio' && (each.channels ?? 0) > 0)
  const tracks = audible.slice(0, MAX_AUDIO_TRACKS)
  if (tracks.length < audible.length) notes.push(`Only the first ${MAX_AUDIO_TRACKS} sound tracks are kept.`)
  const first = tracks.find(each => each.disposition?.default === true) ?? tracks[0]
  const ordered = first ? [first, ...tracks.filter(each => each !== first)] : []
  return ordered.map(each => ({
    stream: each.index,
    channels: Math.min(2, each.channels ?? 2),
    ...labelsOf(each),
    isDefault: each === first,
  }))
}
