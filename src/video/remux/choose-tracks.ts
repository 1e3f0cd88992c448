/** Which tracks of a film are copied, and whether it is a film without the others. */
import type { InputAudioTrack, InputTrack, InputVideoTrack } from 'mediabunny'

import { isStill, type DeclaredFilm, type DeclaredTrack } from '../checks/declared.ts'
import { CannotPackage, type UncopiedAudio } from '../packager.ts'
import { cannotBeCopied, choiceOf, copiedAudio, copiedVideo, ENCODED_BY_CONTAINER } from './input-track.ts'
import type { CopiedAudio, CopiedVideo } from './input-track.ts'

const MAX_AUDIO_TRACKS = 16

export interface Choice {
  readonly tracks: readonly InputTrack[]
  readonly declared: DeclaredFilm | null
  /** One sentence for each track that is left out is added. */
  readonly notes: string[]
  /** The caller encodes what audio cannot be copied. */
  readonly leavesAudio: boolean
}

/** @throws CannotPackage when the video that a player would show cannot be copied */
export async function chooseVideo({ tracks, declared, notes }: Choice): Promise<CopiedVideo | null> {
  const all = declaredOf(declared, 'video')
  const wanted = all.filter(track => !isStill(track))
  const videos = tracks.filter((track): track is InputVideoTrack => track.isVideoTrack())
  const ranked = await defaultFirst(videos.filter(({ id }) => !all.some(track => track.id === id && isStill(track))))
  const lost = wanted.find(({ id }) => !ranked.some(track => track.id === id))
  const [main, ...others] = ranked
  if (lost && (!main || lost === wanted[0])) throw new CannotPackage(`Its video ${whyLost(lost)}`)
  if (!main) return null
  for (const { number } of others) notes.push(`Video track ${number} was left out: only one is sent.`)
  const copied = await copiedVideo(
    main,
    wanted.find(({ id }) => id === main.id),
  )
  if (typeof copied === 'string') throw new CannotPackage(`Its video ${copied}`)
  return copied
}

/** @throws CannotPackage when a film with audio would lose all of it */
export async function chooseAudio(
  { tracks, declared, notes, leavesAudio }: Choice,
  hasVideo: boolean,
): Promise<{ readonly audio: readonly CopiedAudio[]; readonly uncopied: readonly LeftAudio[] }> {
  const [audio, uncopied]: [CopiedAudio[], LeftAudio[]] = [[], []]
  const reasons: string[] = []
  const wanted = declaredOf(declared, 'audio')
  const audios = tracks.filter((track): track is InputAudioTrack => track.isAudioTrack())
  const leaveOut = (number: number, why: string): void => {
    reasons.push(why)
    notes.push(`Audio track ${number} was left out: it ${why}.`)
  }
  for (const track of await defaultFirst(audios)) {
    if (audio.length + uncopied.length === MAX_AUDIO_TRACKS) {
      leaveOut(track.number, 'is one too many')
      continue
    }
    const copied = await copiedAudio(
      track,
      wanted.find(({ id }) => id === track.id),
    )
    if (typeof copied !== 'string') audio.push(copied)
    else if (leavesAudio && hasVideo) uncopied.push(await uncopiedAudio(track, { wanted, audios, reason: copied }))
    else leaveOut(track.number, copied)
  }
  for (const [position, track] of wanted.entries()) {
    if (audios.some(({ id }) => id === track.id)) continue
    const isLeft = leavesAudio && hasVideo && audio.length + uncopied.length < MAX_AUDIO_TRACKS
    if (isLeft) uncopied.push({ position, reason: whyLost(track), begins: Infinity })
    else leaveOut(position + 1, whyLost(track))
  }
  const [reason] = reasons
  if (hasVideo && audio.length + uncopied.length === 0 && reason !== undefined)
    throw new CannotPackage(`Its audio ${reason}`)
  // A playlist offers a choice of audio beside video alone.
  const all = audio.length + reasons.length
  if (!hasVideo && audio.length > 0 && all > 1)
    throw new CannotPackage(`It has ${all} audio tracks and no video, and only one of them would play`)
  return { audio, uncopied }
}

/** A track that the caller encodes. */
export interface LeftAudio extends UncopiedAudio {
  /** Its first timestamp; infinite where that is not known. */
  readonly begins: number
}

interface AmongAudio {
  readonly wanted: readonly DeclaredTrack[]
  readonly audios: readonly InputAudioTrack[]
  readonly reason: string
}

async function uncopiedAudio(track: InputAudioTrack, { wanted, audios, reason }: AmongAudio): Promise<LeftAudio> {
  const position = wanted.findIndex(({ id }) => id === track.id)
  const first = await track.getFirstTimestamp()
  // An edit list leaves out what comes before zero.
  const begins = (wanted[position]?.edits.length ?? 0) > 0 ? Math.max(0, first) : first
  return { position: position === -1 ? audios.indexOf(track) : position, reason, begins, ...(await choiceOf(track)) }
}

const declaredOf = (declared: DeclaredFilm | null, kind: DeclaredTrack['kind']): DeclaredTrack[] =>
  (declared?.tracks ?? []).filter(track => track.kind === kind)

/** Why the demuxer does not list a track. */
function whyLost({ isEncoded, codec }: DeclaredTrack): string {
  return isEncoded ? ENCODED_BY_CONTAINER : cannotBeCopied(codec)
}

async function defaultFirst<T extends InputTrack>(tracks: readonly T[]): Promise<T[]> {
  const ranked = await Promise.all(
    tracks.map(async track => ({ track, isDefault: (await track.getDisposition()).default })),
  )
  return ranked.sort((a, b) => Number(b.isDefault) - Number(a.isDefault)).map(({ track }) => track)
}
