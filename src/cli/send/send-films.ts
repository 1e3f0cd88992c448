/** Gives the films among what is sent what makes them play from the first second. */
import { type FileItem, type SendItem, fileSource } from '../../client/node/index.ts'
import type { LadderPackager } from '../../video/node.ts'
import { type CliIo, quoted } from '../cli-io.ts'

/** Previews are made for so many items at most: for a folder of photos they would take longer than sending it. */
const MAX_PICTURES = 50

const NO_FFMPEG =
  'There is no ffmpeg here (on the PATH, or named by SEALIFT_FFMPEG), so films are sent in the one quality they have.'

export interface FilmOptions {
  readonly mode: FilmMode
  readonly previews: boolean
  readonly notes: Pick<FilmNotes, 'tell' | 'about' | 'packaged'>
}

/**
 * The same items, films among them with their makers. Programs are looked for only when a film or picture needs them.
 */
export async function withFilms<T extends FileItem | SendItem>(
  io: Pick<CliIo, 'env' | 'signal'>,
  items: readonly T[],
  options: FilmOptions,
): Promise<T[]> {
  const films = items.some(isFilm) && options.mode !== 'file'
  const shown = options.previews ? items.filter(isShown).slice(0, MAX_PICTURES) : []
  const sent = options.mode === 'file' ? items : items.map(item => withReason(item, options.notes))
  if (!films && shown.length === 0) return [...sent]
  const tools = await openTools(io, options)
  if (films) tools.prepare()
  const pictured = new Set<FileItem | SendItem>(shown)
  return sent.map(item => {
    if (!('path' in item)) return item
    const film = films && isFilm(item) ? { film: tools.filmOf(item) } : {}
    const pictures = pictured.has(item) ? tools.picturesOf(item) : {}
    return { ...item, ...film, ...pictures }
  })
}

const NO_STREAMS = 'What comes from standard input is not packaged; a film that is named as a file is.'

/** A film from a stream, with the reason for which it is a plain file. */
function withReason<T extends FileItem | SendItem>(item: T, { about }: FilmOptions['notes']): T {
  if ('path' in item || !isMoving(item)) return item
  about(item.name, NO_STREAMS, `${quoted(item.name)} is sent as a file: ${NO_STREAMS}`)
  return { ...item, film: { begin: () => Promise.resolve({ film: null, note: NO_STREAMS }) } }
}

interface Tools {
  /** Gets ready for the first film. */
  prepare(): void
  filmOf(item: FileItem): NonNullable<FileItem['film']>
  picturesOf(item: FileItem): Pick<FileItem, 'pictures'>
}

async function openTools(
  io: Pick<CliIo, 'env' | 'signal'>,
  { mode, notes: { tell, about, packaged } }: FilmOptions,
): Promise<Tools> {
  // One by one: the index of the room would load what only the packaging thread needs.
  const { filmMaker } = await import('../../video/film-maker.ts')
  const { originalMaker } = await import('../../video/original/describe-original.ts')
  const { REMUX_WAY } = await import('../../video/remux/remux-version.ts')
  const { createRemuxThread } = await import('../../video/remux-thread/remux-thread.ts')
  const { createFilmPackager } = await import('../../video/film-packager.ts')
  const { nodeSuite } = await import('../../sealing/node-suite.ts')
  const findLadder = ladderFinder(io)
  const ladder = mode === 'ladder' ? await findLadder() : null
  if (mode === 'ladder' && !ladder) tell(NO_FFMPEG)
  const copier = createRemuxThread()
  return {
    prepare: () => ladder ?? copier.prepare(),
    filmOf: item => {
      let isEncoded = ladder !== null
      const onEncode = (container: string): void => {
        isEncoded = true
        tell(`${quoted(item.name)} is encoded, since ${container} cannot be copied. --film file sends the file alone.`)
      }
      return filmMaker({
        packager: ladder ?? createFilmPackager({ copier, findLadder, onEncode }),
        input: async () => ({ source: await fileSource(item.path, item.listed) }),
        ...(!ladder && { instead: { original: originalMaker(nodeSuite), way: REMUX_WAY } }),
        onNote: note => about(item.name, note, `${quoted(item.name)}: ${note}`),
        // Copying is as fast as sending, and the bars tell of that.
        onProgress: (seconds, total) => isEncoded && packaged(item.name, seconds, total),
        onPlain: reason => about(item.name, reason, `${quoted(item.name)} is sent as a file: ${sentence(reason)}`),
      })
    },
    picturesOf: item => pictures(findLadder, item),
  }
}

/** Reasons may come without their full stop. */
function sentence(reason: string): string {
  return /[.!?]$/.test(reason) ? reason : `${reason}.`
}

/** Looks for ffmpeg once, when it is first asked for: nothing waits for it before that. */
function ladderFinder({ env, signal }: Pick<CliIo, 'env' | 'signal'>): () => Promise<LadderPackager | null> {
  const find = async (): Promise<LadderPackager | null> => {
    const { findFfmpeg } = await import('../../video/ladder/find-ffmpeg.ts')
    const { LadderPackager } = await import('../../video/ladder/ladder-packager.ts')
    const program = env['SEALIFT_FFMPEG']
    const place = { ...(program ? { program } : {}), searchPath: env['PATH'] ?? '', signal }
    const ffmpeg = await findFfmpeg(place)
    return ffmpeg && new LadderPackager(ffmpeg)
  }
  let found: Promise<LadderPackager | null> | null = null
  return () => (found ??= find())
}

function pictures(
  findLadder: () => Promise<LadderPackager | null>,
  { path, listed }: FileItem,
): Pick<FileItem, 'pictures'> {
  return {
    pictures: async signal => {
      const ladder = await findLadder()
      if (!ladder) return null
      const { preview, poster } = await ladder.pictures({ source: await fileSource(path, listed) }, signal)
      return { preview, thumbnail: poster }
    },
  }
}

function isFilm(item: FileItem | SendItem): item is FileItem {
  return 'path' in item && isMoving(item)
}

const isMoving = ({ type }: FileItem | SendItem): boolean => type?.startsWith('video/') === true

function isShown(item: FileItem | SendItem): item is FileItem {
  return 'path' in item && /^(video|image)\/(?!svg)/.test(item.type ?? '')
}

/** `copy`: video and audio unchanged; `ladder`: several qualities, by ffmpeg; `file`: a plain file. */
export const FILM_MODES = ['copy', 'ladder', 'file'] as const

export type FilmMode = (typeof FILM_MODES)[number]

/** A ladder takes longer than the bytes of its file: time between two progress lines. */
const PROGRESS_EVERY_MS = 10_000

export interface FilmNotesOptions {
  /** Says a line; above the bars, while there are any. */
  readonly say: (line: string) => void
  /** Monotonic ms. */
  readonly now: () => number
}

/** What is said of films while they are packaged. */
export class FilmNotes {
  readonly #options: FilmNotesOptions
  readonly #notes = new Map<string, readonly string[]>()
  readonly #toldAtMs = new Map<string, number>()

  constructor(options: FilmNotesOptions) {
    this.#options = options
  }

  readonly tell = (note: string): void => this.#options.say(note)

  /** What differs about an item. @param line what is said of it at once */
  readonly about = (name: string, note: string, line: string): void => {
    this.#notes.set(name, [...(this.#notes.get(name) ?? []), note])
    this.#options.say(line)
  }

  /** All that was said about an item. */
  of(name: string): readonly string[] {
    return this.#notes.get(name) ?? []
  }

  /** Seconds of the film that are packaged, of all of them (`null`: not known). */
  readonly packaged = (name: string, seconds: number, total: number | null): void => {
    const nowMs = this.#options.now()
    const toldAtMs = this.#toldAtMs.get(name) ?? nowMs
    this.#toldAtMs.set(name, toldAtMs)
    if (nowMs - toldAtMs < PROGRESS_EVERY_MS) return
    this.#toldAtMs.set(name, nowMs)
    const of = total === null ? '' : ` of ${Math.ceil(total)}`
    this.#options.say(`${quoted(name)}: ${Math.floor(seconds)}${of} s of film are packaged.`)
  }
}
