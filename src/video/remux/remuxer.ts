import { Logging, LogLevel } from 'mediabunny'

import { raceAbort } from '../../common/abort-race.ts'
import { differenceOf } from '../checks/package-facts.ts'
import { CannotPackage } from '../packager.ts'
import type { FilmInput, PackagedFilm, PackagedTrack, PackageOptions, Packager } from '../packager.ts'
import { cutFilm } from './cut-film.ts'
import { filmSource } from './film-source.ts'
import type { FilmSource } from './film-source.ts'
import { openFilm } from './open-film.ts'
import type { OpenFilm } from './open-film.ts'
import { describeTrack } from './input-track.ts'
import type { CopiedTrack, Description } from './input-track.ts'
import { TrackFile } from './track-file.ts'

export { REMUX_WAY } from './remux-version.ts'

/**
 * Packages by copying: video and audio stay bit for bit what they were, in one quality. For Node and browsers; needs no
 * program. The same film gives the same bytes each time.
 */
export function createRemuxer(): Packager {
  // Mediabunny warns of damage; what matters of that is reported as CannotPackage.
  Logging.level = LogLevel.Silent
  return { package: packageFilm }
}

async function packageFilm(input: FilmInput, options: PackageOptions): Promise<PackagedFilm> {
  options.signal.throwIfAborted()
  const given = new AbortController()
  const signal = AbortSignal.any([options.signal, given.signal])
  const source = await filmSource(input.source, signal)
  const explain = (error: unknown) => explained(error, source, signal)
  const cancel = (reason: unknown) => given.abort(reason ?? new DOMException('The film is not wanted', 'AbortError'))
  const { film, files, described } = await inTime(
    open(source, options.leavesAudio ?? false, cancel),
    signal,
    cancel,
  ).catch(error => {
    throw explain(error)
  })
  source.limit.lift()
  void writeFiles({ film, files, explain, signal, options })
  return {
    seconds: film.seconds,
    ...placed(files, described),
    subtitles: [],
    storyboard: null,
    notes: film.notes,
    keepsSamples: film.keepsSamples,
    ...(film.uncopied.length > 0 && {
      uncopied: {
        audio: film.uncopied.map(({ begins: _begins, ...audio }) => audio),
        shiftSeconds: film.leadSeconds - film.originSeconds,
      },
    }),
  }
}

async function open(source: FilmSource, leavesAudio: boolean, onCancel: (reason: unknown) => void) {
  const film = await openFilm(source, leavesAudio)
  try {
    const files = filesOf(film, onCancel)
    return { film, files, described: await Promise.all(files.map(file => describeTrack(file.tracks))) }
  } catch (error) {
    film.input.dispose()
    throw error
  }
}

/** Audio goes into the file of the video, unless there is a choice of audio, or some of it is encoded by the caller. */
function filesOf({ video, audio, uncopied, leadSeconds }: OpenFilm, onCancel: (reason: unknown) => void): TrackFile[] {
  const file = (...tracks: CopiedTrack[]) => new TrackFile({ tracks, leadSeconds, onCancel })
  if (!video) return audio.slice(0, 1).map(track => file(track))
  if (audio.length < 2 && uncopied.length === 0) return [file(video, ...audio)]
  return [video, ...audio].map(track => file(track))
}

interface Writing {
  readonly film: OpenFilm
  readonly files: readonly TrackFile[]
  readonly explain: (error: unknown) => unknown
  readonly signal: AbortSignal
  readonly options: PackageOptions
}

/** Never rejects: an error goes to the streams of the files. */
async function writeFiles({ film, files, explain, signal, options }: Writing): Promise<void> {
  const fail = (error: unknown) => files.forEach(file => file.pipe.fail(error))
  const onAbort = () => fail(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    signal.throwIfAborted()
    await cutFilm(film, files, seconds => options.onProgress?.(seconds))
    await checkFilm(film, files)
    for (const file of files) file.pipe.close()
  } catch (error) {
    fail(explain(error))
  } finally {
    signal.removeEventListener('abort', onAbort)
    film.input.dispose()
  }
}

/** The error that came first, which the demuxer may have replaced by one of its own. */
function explained(error: unknown, source: FilmSource, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  const failure = source.failure()
  if (failure) return failure.cause
  if (error instanceof CannotPackage) return error
  return new CannotPackage(reasonOf(error), { cause: error })
}

function placed(files: readonly TrackFile[], described: readonly Description[]) {
  const tracks = files.map((file, index): PackagedTrack => ({
    ...described[index],
    codecs: file.tracks.map(track => track.codecs).join(','),
    bytes: file.pipe.bytes,
    layout: file.pipe.layout,
  }))
  return { renditions: tracks.slice(0, 1), audio: tracks.slice(1) }
}

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

/** What some errors of the demuxer mean to a person; its messages are no API, so that any other has a vague reason. */
const REASONS: readonly (readonly [message: RegExp, reason: string])[] = [
  [
    /could not extract (AVC|HEVC|HVC)DecoderConfigurationRecord/,
    'Its video begins without the parameter sets that a decoder needs: it was cut out of a longer one, or its beginning is missing',
  ],
  [
    /"moof" box encountered with no "moov" box/,
    'It is a segment of a film: the part that says what is in it is a file of its own',
  ],
]
const UNKNOWN_REASON = 'It is damaged, or of a kind that cannot be packaged'

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : ''
  return REASONS.find(([known]) => known.test(message))?.[1] ?? UNKNOWN_REASON
}

const MAX_OPENING_MS = 60_000

/**
 * What `opening` gives, unless it takes too long or is aborted: then the caller no longer waits for it.
 * @param giveUp aborts `signal`
 */
async function inTime<T>(
  opening: Promise<T>,
  signal: AbortSignal,
  giveUp: (reason: CannotPackage) => void,
): Promise<T> {
  const timer = setTimeout(() => giveUp(new CannotPackage('It takes too long to see what is in it')), MAX_OPENING_MS)
  try {
    return await raceAbort(opening, signal)
  } finally {
    clearTimeout(timer)
  }
}
