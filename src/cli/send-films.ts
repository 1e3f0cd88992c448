/** Gives the films among what is sent what makes them play from the first second. */
import type { FileItem, SendItem } from '../client/node/index.ts'
import { fileSource } from '../client/node/index.ts'
import type { LadderPackager } from '../video/node.ts'
import type { Packager } from '../video/index.ts'
import { quoted, type CliIo } from './cli-io.ts'
import type { FilmMode } from './film-mode.ts'
import type { FilmNotes } from './film-notes.ts'

/** Previews are made for so many items at most: for a folder of photos they would take longer than sending it. */
const MAX_PICTURES = 50

const NO_FFMPEG =
  'There is no ffmpeg here (on the PATH, or named by SEALIFT_FFMPEG), so films are sent in the one quality they have.'

export interface FilmOptions {
  readonly mode: FilmMode
  readonly previews: boolean
  readonly notes: Pick<FilmNotes, 'tell' | 'about' | 'packaged'>
}

/** The same items, films among them with their makers. Programs are looked for only when there is something for them. */
export async function withFilms<T extends FileItem | SendItem>(
  io: Pick<CliIo, 'env' | 'signal'>,
  items: readonly T[],
  options: FilmOptions,
): Promise<T[]> {
  const films = items.some(isFilm) && options.mode !== 'file'
  const shown = options.previews ? items.filter(isShown).slice(0, MAX_PICTURES) : []
  if (!films && shown.length === 0) return [...items]
  const tools = await openTools(io, options)
  const pictured = new Set<FileItem | SendItem>(shown)
  return items.map(item => {
    if (!('path' in item)) return item
    const film = films && isFilm(item) ? { film: tools.filmOf(item) } : {}
    const pictures = pictured.has(item) ? tools.picturesOf(item) : {}
    return { ...item, ...film, ...pictures }
  })
}

interface Tools {
  filmOf(item: FileItem): NonNullable<FileItem['film']>
  picturesOf(item: FileItem): Pick<FileItem, 'pictures'>
}

async function openTools(
  io: Pick<CliIo, 'env' | 'signal'>,
  { mode, notes: { tell, about, packaged } }: FilmOptions,
): Promise<Tools> {
  const { filmMaker, originalMaker, REMUX_WAY } = await import('../video/index.ts')
  const { CopyPackager, createRemuxThread, findFfmpeg, LadderPackager } = await import('../video/node.ts')
  const program = io.env['SEALIFT_FFMPEG']
  const ffmpeg = await findFfmpeg({
    ...(program ? { program } : {}),
    searchPath: io.env['PATH'] ?? '',
    signal: io.signal,
  })
  if (!ffmpeg && mode === 'ladder') tell(NO_FFMPEG)
  const ladder = ffmpeg && new LadderPackager(ffmpeg)
  const isCopied = !ladder || mode === 'copy'
  const copy = createRemuxThread()
  const copier: Packager = ladder ? new CopyPackager({ copy, ladder }) : copy
  const packager: Packager = isCopied ? copier : ladder
  const { nodeSuite } = await import('../sealing/node-suite.ts')
  return {
    filmOf: item =>
      filmMaker({
        packager,
        input: async () => ({ source: await fileSource(item.path, item.listed) }),
        ...(isCopied && { instead: { original: originalMaker(nodeSuite), way: REMUX_WAY } }),
        onNote: note => about(item.name, note, `${quoted(item.name)}: ${note}`),
        // Copying is as fast as sending, and the bars tell of that.
        ...(!isCopied && { onProgress: (seconds, total) => packaged(item.name, seconds, total) }),
        onPlain: reason => about(item.name, reason, `${quoted(item.name)} is sent as a file: ${sentence(reason)}`),
      }),
    picturesOf: item => (ladder ? pictures(ladder, item) : {}),
  }
}

/** Reasons may come without their full stop. */
function sentence(reason: string): string {
  return /[.!?]$/.test(reason) ? reason : `${reason}.`
}

function pictures(ladder: LadderPackager, { path, listed }: FileItem): Pick<FileItem, 'pictures'> {
  return {
    pictures: async signal => {
      const { preview, poster } = await ladder.pictures({ source: await fileSource(path, listed) }, signal)
      return { preview, thumbnail: poster }
    },
  }
}

function isFilm(item: FileItem | SendItem): item is FileItem {
  return 'path' in item && item.type?.startsWith('video/') === true
}

function isShown(item: FileItem | SendItem): item is FileItem {
  return 'path' in item && /^(video|image)\/(?!svg)/.test(item.type ?? '')
}
