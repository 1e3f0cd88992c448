import type { BegunFilm, FilmMaker, OutgoingFilm, TrackProgress } from '../client/api/outgoing-film.ts'
import type { RandomSource } from '../client/api/source-and-sink.ts'
import { describeFilm } from './describe-film.ts'
import type { FilmState, SentTrack } from './describe-film.ts'
import { CannotPackage } from './packager.ts'
import type { FilmInput, PackagedFilm, PackagedStoryboard, PackagedTrack, Packager } from './packager.ts'

type ByteStream = ReadableStream<Uint8Array<ArrayBuffer>>

/** Describes how the file that a film was made of is rebuilt from the film's bytes. */
export interface OriginalMaker {
  /** @param film its bytes come out of `bytes` again; `runs` ends when they and the file have been read */
  watch(
    film: ByteStream,
    file: RandomSource,
    signal: AbortSignal,
  ): { readonly bytes: ByteStream; readonly runs: ByteStream }
}

export interface FilmMakerOptions {
  readonly packager: Packager
  /** Called when the packaging begins. */
  readonly input: () => Promise<FilmInput>
  /**
   * With it, a film of one rendition is sent as the item's own bytes, and the file is rebuilt from them: no video is
   * sent twice. Without it, and for films of several renditions or with few bytes of the file, the film goes beside the
   * file.
   */
  readonly instead?: {
    readonly original: OriginalMaker
    /** As `way` of `MadeBytes`. */
    readonly way: string
  }
  /** Gets what a person should know of the film; one sentence each. */
  readonly onNote?: (note: string) => void
  /** Gets the reason why it is sent as a plain file. */
  readonly onPlain?: (reason: string) => void
  /** Gets the seconds that are packaged, and those of the film (`null`: not known). */
  readonly onProgress?: (seconds: number, total: number | null) => void
}

/** Packages an item's film while the item is sent. */
export function filmMaker(options: FilmMakerOptions): FilmMaker {
  const reportPlain = (error: unknown): boolean => {
    if (!(error instanceof CannotPackage)) return false
    options.onPlain?.(error.message)
    return true
  }
  return {
    begin: async signal => {
      try {
        return { ...(await begin(options, signal)), isUnfit: reportPlain, unfitNote }
      } catch (error) {
        if (reportPlain(error)) return { film: null, note: unfitNote(error) }
        throw error
      }
    },
  }
}

/** For receivers, which only see that there is nothing to play at once. */
function unfitNote(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error)
  return `A plain file, which does not play while it comes. ${/[.!?]$/.test(why) ? why : `${why}.`}`
}

async function begin(options: FilmMakerOptions, signal: AbortSignal): Promise<BegunFilm> {
  const { packager, instead, onNote, onProgress } = options
  const input = await options.input()
  let total: number | null = null
  const film = await packager.package(input, { signal, onProgress: seconds => onProgress?.(seconds, total) })
  total = film.seconds
  for (const note of film.notes) onNote?.(note)
  const [rendition, ...others] = film.renditions
  if (!rendition) throw new CannotPackage('There is nothing to play in it.')
  const isInstead = instead && film.keepsSamples !== false && others.length === 0
  const begun = isInstead
    ? insteadOfFile(film, rendition, { ...instead, file: input.source, signal })
    : { film: besideFile(film) }
  return { ...begun, ...(film.notes.length > 0 && { note: film.notes.join(' ') }) }
}

interface Instead extends NonNullable<FilmMakerOptions['instead']> {
  readonly file: RandomSource
  readonly signal: AbortSignal
}

function insteadOfFile(
  film: PackagedFilm,
  rendition: PackagedTrack,
  { original, way, file, signal }: Instead,
): BegunFilm {
  const { bytes, runs } = original.watch(rendition.bytes, file, signal)
  const extras = extrasOf(film)
  const { audio } = film
  const state = (own: TrackProgress, tracks: readonly TrackProgress[]): FilmState => ({
    film,
    renditions: [{ track: rendition, progress: own, isOwn: true }],
    audio: audio.map((track, at) => ({ track, progress: tracks[at] ?? NOTHING, isOwn: false })),
    ...extras.state(tracks.slice(audio.length)),
  })
  return {
    // With and without audio in it, the bytes differ and must not be sealed under the same key.
    own: { bytes: checked(bytes, file), way: audio.length > 0 ? `${way}-apart` : way },
    film: {
      tracks: [...audio.map(track => track.bytes), ...extras.sources, runs],
      describe: (own, tracks) => describeFilm(state(own, tracks)),
      original: { bytes: file.sizeBytes, runs: audio.length + extras.sources.length },
    },
  }
}

function besideFile(film: PackagedFilm): OutgoingFilm {
  const tracks = [...film.renditions, ...film.audio]
  const extras = extrasOf(film)
  const sent = (progress: readonly TrackProgress[], from: number, track: PackagedTrack, at: number): SentTrack => ({
    track,
    progress: progress[from + at] ?? NOTHING,
    isOwn: false,
  })
  const audioFrom = film.renditions.length
  return {
    tracks: [...tracks.map(track => track.bytes), ...extras.sources],
    describe: (_, progress) =>
      describeFilm({
        film,
        renditions: film.renditions.map((track, at) => sent(progress, 0, track, at)),
        audio: film.audio.map((track, at) => sent(progress, audioFrom, track, at)),
        ...extras.state(progress.slice(tracks.length)),
      }),
  }
}

const NOTHING: TrackProgress = { media: null, readableBytes: 0 }

/** Subtitles and storyboard: sent when they are ready, described when they are there. */
function extrasOf(film: PackagedFilm): {
  readonly sources: readonly ByteStream[]
  state(progress: readonly TrackProgress[]): Pick<FilmState, 'subtitles' | 'storyboard'>
} {
  let packaged: PackagedStoryboard | null = null
  const sheets = film.storyboard?.then(storyboard => {
    packaged = storyboard
    return storyboard?.sheets ?? []
  })
  const texts = film.subtitles.map(({ text }) => text.then(bytes => [bytes]))
  return {
    sources: [...texts, ...(sheets ? [sheets] : [])].map(streamOfPromise),
    state: progress => ({
      subtitles: film.subtitles.map((subtitles, at) => ({ subtitles, progress: progress[at] ?? NOTHING })),
      storyboard: packaged && { packaged, progress: progress[film.subtitles.length] ?? NOTHING },
    }),
  }
}

function streamOfPromise(promise: Promise<readonly Uint8Array<ArrayBuffer>[]>): ByteStream {
  // The stream reports the error when it is read.
  promise.catch(() => undefined)
  return new ReadableStream({
    pull: async controller => {
      for (const bytes of await promise) if (bytes.byteLength > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}

/** Ends only when the file is still what it was at the beginning. */
function checked(bytes: ByteStream, file: RandomSource): ByteStream {
  return bytes.pipeThrough(new TransformStream({ flush: () => file.checkUnchanged?.() }))
}
