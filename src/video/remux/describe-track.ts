import type { InputTrack } from 'mediabunny'

import type { PackagedTrack } from '../packager.ts'
import type { CopiedTrack, CopiedVideo } from './input-track.ts'

/** Frames that are looked at to tell the frame rate. */
const FRAMES = 60
const MAX_TEXT = 255

export type Description = Omit<PackagedTrack, 'codecs' | 'bytes' | 'layout'>

/**
 * What a player shows or chooses by.
 * @param tracks in one file
 */
export async function describeTrack(tracks: readonly CopiedTrack[]): Promise<Description> {
  const video = tracks.find(track => track.kind === 'video')
  const audio = tracks.find(track => track.kind === 'audio')
  return { ...(video && (await pictures(video))), ...(audio && (await choiceOf(audio.track))) }
}

async function pictures({ track }: CopiedVideo): Promise<Description> {
  const [width, height] = [await track.getDisplayWidth(), await track.getDisplayHeight()]
  const shown = [width, height].every(side => Number.isFinite(side) && side >= 1)
  const { averagePacketRate } = await track.computePacketStats(FRAMES)
  const frameRate = Math.round(averagePacketRate * 1000) / 1000
  return {
    ...(shown && { width: Math.round(width), height: Math.round(height) }),
    ...(frameRate > 0 && frameRate <= 1000 && { frameRate }),
  }
}

/** What a listener chooses by. */
export async function choiceOf(track: InputTrack): Promise<Pick<PackagedTrack, 'language' | 'name' | 'isDefault'>> {
  const language = languageTag(await track.getLanguageCode())
  const name = (await track.getName())?.slice(0, MAX_TEXT)
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
