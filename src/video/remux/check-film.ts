import { differenceOf } from '../checks/package-facts.ts'
import { CannotPackage } from '../packager.ts'
import type { OpenFilm } from './open-film.ts'
import type { TrackFile } from './track-file.ts'

/**
 * Compares what was written with what the file declares.
 * @throws CannotPackage when something is missing, or is not as a player needs it
 */
export async function checkFilm(
  { declared, originSeconds }: Pick<OpenFilm, 'declared' | 'originSeconds'>,
  files: readonly Pick<TrackFile, 'tracks' | 'facts'>[],
): Promise<void> {
  const counts = await declared?.countSamples()
  const end = declared?.endSeconds ?? null
  const tracks = files
    .flatMap(file => file.tracks)
    .map(({ kind, track, cursor }) => {
      const samples = counts?.get(track.id)
      return { kind, samples: samples === undefined ? null : samples - cursor.trimmed }
    })
  const expected = { tracks, seconds: end === null ? null : end - originSeconds }
  const difference = differenceOf(
    expected,
    files.flatMap(file => file.facts.tracks),
  )
  if (difference !== null) throw new CannotPackage(difference)
}
