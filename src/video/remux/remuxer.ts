import { Logging, LogLevel } from 'mediabunny'

import { CannotPackage } from '../packager.ts'
import type { FilmInput, PackagedFilm, PackagedTrack, PackageOptions, Packager } from '../packager.ts'
import { checkFilm } from './check-film.ts'
import { cutFilm } from './cut-film.ts'
import { meaningOf } from './demuxer-words.ts'
import { describeTrack } from './describe-track.ts'
import type { Description } from './describe-track.ts'
import { filmSource } from './film-source.ts'
import type { FilmSource } from './film-source.ts'
import { openFilm } from './open-film.ts'
import type { OpenFilm } from './open-film.ts'
import { inTime } from './opening.ts'
import type { CopiedTrack } from './input-track.ts'
import { TrackFile } from './track-file.ts'

export { MEDIABUNNY_VERSION, REMUX_WAY } from './remux-version.ts'

/**
 * Packages by copying: the pictures and the sound stay bit for bit what they were, in one quality. For Node and
 * browsers; needs no program. The same film gives the same bytes each time.
 */
export function createRemuxer(): Packager {
  // What it warns of is found out here, and told in our words.
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

/** Sound goes with the pictures, unless there is a choice of it, or some that is made by another. */
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

/** Never rejects: the files' streams tell what went wrong. */
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

/** The error that began it, whatever the demuxer has made of it. */
function explained(error: unknown, source: FilmSource, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  const failure = source.failure()
  if (failure) return failure.cause
  if (error instanceof CannotPackage) return error
  return new CannotPackage(meaningOf(error), { cause: error })
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
