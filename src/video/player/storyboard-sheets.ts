import { SealiftError } from '../../protocol/errors.ts'
import type { FilmDescription, FilmStoryboard, PlainRange } from '../../client/index.ts'
import type { StoryboardTile } from './player.ts'

/** Cached, as object URLs. */
const MAX_SHEETS = 8
/** The sender is not trusted. */
const MAX_SHEET_BYTES = 8 * 1024 * 1024

export interface StoryboardOptions {
  /** The film as it is known now. */
  readonly description: () => FilmDescription | null
  readonly read: (board: FilmStoryboard, range: PlainRange, signal: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>
  /** A sheet came. */
  readonly onSheet: () => void
  /** A sheet could not be loaded; it is not requested again. */
  readonly onError: (error: unknown) => void
}

/** The sheet and the position in it of a tile. */
export interface TilePosition {
  readonly sheet: number
  readonly x: number
  readonly y: number
}

/** Sheets of a storyboard, fetched when a tile of them is requested. */
export class StoryboardSheets {
  readonly #options: StoryboardOptions
  readonly #stop = new AbortController()
  /** Least recently used first; `null`: in flight, or not available. */
  readonly #sheets = new Map<number, string | null>()

  constructor(options: StoryboardOptions) {
    this.#options = options
  }

  at(seconds: number): StoryboardTile | null {
    const description = this.#options.description()
    const board = description?.storyboard
    const tile = description && tileAt(description, seconds)
    if (!tile || !board) return null
    const url = this.#sheet(tile.sheet, board)
    return url === null ? null : { sheet: url, x: tile.x, y: tile.y, width: board.tileWidth, height: board.tileHeight }
  }

  close(): void {
    this.#stop.abort()
    for (const url of this.#sheets.values()) if (url !== null) URL.revokeObjectURL(url)
    this.#sheets.clear()
  }

  #sheet(index: number, board: FilmStoryboard): string | null {
    const known = this.#sheets.get(index)
    if (known === undefined) void this.#load(index, board)
    if (typeof known !== 'string') return null
    this.#sheets.delete(index)
    this.#sheets.set(index, known)
    return known
  }

  async #load(index: number, board: FilmStoryboard): Promise<void> {
    this.#sheets.set(index, null)
    try {
      const bytes = await this.#options.read(board, rangeOf(board, index), this.#stop.signal)
      if (this.#stop.signal.aborted) return
      this.#sheets.set(index, URL.createObjectURL(new Blob([bytes], { type: 'image/jpeg' })))
    } catch (error) {
      if (!this.#stop.signal.aborted) this.#options.onError(error)
      return
    }
    this.#drop()
    this.#options.onSheet()
  }

  #drop(): void {
    const loaded = Array.from(this.#sheets).filter((entry): entry is [number, string] => entry[1] !== null)
    for (const [index, url] of loaded.slice(0, -MAX_SHEETS)) {
      URL.revokeObjectURL(url)
      this.#sheets.delete(index)
    }
  }
}

/** The tile of a moment: sheets hold columns × rows of tiles, left to right, top to bottom. `null`: there is none. */
export function tileAt({ storyboard, seconds: total }: FilmDescription, seconds: number): TilePosition | null {
  if (!storyboard || !(seconds >= 0)) return null
  const { everySeconds, columns, rows, tileWidth, tileHeight, sheets } = storyboard
  const last = total === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Math.ceil(total / everySeconds) - 1)
  const index = Math.min(Math.floor(seconds / everySeconds), last)
  const sheet = Math.floor(index / (columns * rows))
  const tile = index % (columns * rows)
  if (sheet >= sheets.length) return null
  return { sheet, x: (tile % columns) * tileWidth, y: Math.floor(tile / columns) * tileHeight }
}

function rangeOf({ sheets }: FilmStoryboard, index: number): PlainRange {
  const [start, length] = sheets[index] ?? [0, 0]
  if (length > MAX_SHEET_BYTES) throw new SealiftError('too_large', 'A sheet of the storyboard is too large')
  return { start, end: start + length }
}
