import { quoted } from './cli-io.ts'

/** A ladder takes longer than the bytes of its file: who waits is told this often how far it is. */
const TELL_EVERY_MS = 10_000

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
    if (nowMs - toldAtMs < TELL_EVERY_MS) return
    this.#toldAtMs.set(name, nowMs)
    const of = total === null ? '' : ` of ${Math.ceil(total)}`
    this.#options.say(`${quoted(name)}: ${Math.floor(seconds)}${of} s of film are packaged.`)
  }
}
