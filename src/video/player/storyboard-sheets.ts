import { SealiftError } from '../../protocol/errors.ts'
import type { FilmDescription, FilmStoryboard, PlainRange } from '../../client/index.ts'
import type { StoryboardTile } from './player.ts'

/** Sheets that are kept, as object URLs. */
const KEPT_SHEETS = 8
/** Whoever made the film may have written anything. */
const MAX_SHEET_BYTES = 8 * 1024 * 1024

export interface StoryboardOptions {
  /** The film as it is known now. */
  readonly description: () => FilmDescription | null
  readonly read: (board: FilmStoryboard, range: PlainRange, signal: AbortSignal) => Promise<Uint8Array<ArrayBuffer>>
  /** A sheet came. */
  readonly onSheet: () => void
  /** A sheet could not be had; it is not asked for again. */
  readonly onError: (error: unknown) => void
}

/** Which picture of which sheet belongs to a moment. `null`: there is none. */
export interface StoryboardPlace {
  readonly sheet: number
  readonly x: number
  readonly y: number
}

/** Sheets of small pictures, fetched when they are asked for. */
export class Storyboard implements Disposable {
  readonly #options: StoryboardOptions
  readonly #stop = new AbortController()
  /** Oldest use first; `null`: on its way, or not to be had. */
  readonly #sheets = new Map<number, string | null>()

  constructor(options: StoryboardOptions) {
    this.#options = options
  }

  at(seconds: number): StoryboardTile | null {
    const description = this.#options.description()
    const board = description?.storyboard
    const place = description && placeOf(description, seconds)
    if (!place || !board) return null
    const url = this.#sheet(place.sheet, board)
    return url === null
      ? null
      : { sheet: url, x: place.x, y: place.y, width: board.tileWidth, height: board.tileHeight }
  }

  [Symbol.dispose](): void {
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
    const kept = Array.from(this.#sheets).filter((entry): entry is [number, string] => entry[1] !== null)
    for (const [index, url] of kept.slice(0, -KEPT_SHEETS)) {
      URL.revokeObjectURL(url)
      this.#sheets.delete(index)
    }
  }
}

/** Where the picture of a moment is: sheets hold columns × rows of them, left to right, top to bottom. */
export function placeOf({ storyboard, seconds: total }: FilmDescription, seconds: number): StoryboardPlace | null {
  if (!storyboard || !(seconds >= 0)) return null
  const { everySeconds, columns, rows, tileWidth, tileHeight, sheets } = storyboard
  const last = total === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Math.ceil(total / everySeconds) - 1)
  const picture = Math.min(Math.floor(seconds / everySeconds), last)
  const sheet = Math.floor(picture / (columns * rows))
  const tile = picture % (columns * rows)
  if (sheet >= sheets.length) return null
  return { sheet, x: (tile % columns) * tileWidth, y: Math.floor(tile / columns) * tileHeight }
}

function rangeOf({ sheets }: FilmStoryboard, index: number): PlainRange {
  const [start, length] = sheets[index] ?? [0, 0]
  if (length > MAX_SHEET_BYTES) throw new SealiftError('too_large', 'A sheet of small pictures is too large')
  return { start, end: start + length }
}
