import { open, readFile, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import { localError, unless } from '../files/local-error.ts'

/**
 * A file of JSON lines that only grows, readable by its owner alone. A line is written whole or, after a crash, cut:
 * what is cut is left out when it is read.
 *
 * Lines are written but not synced: they survive the death of the process. After a power loss the journal may lack its
 * end, or be gone; readers must handle all these cases.
 */
export class LineJournal implements AsyncDisposable {
  readonly path: string
  readonly #handle: FileHandle
  #writing: Promise<void> = Promise.resolve()
  /** Lines that the next write takes along. */
  #waiting: string[] = []

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /** Opens it for appending; creates it when absent. @throws local_file */
  static async open(path: string): Promise<LineJournal> {
    try {
      const handle = await open(path, 'a', 0o600)
      const journal = new LineJournal(path, handle)
      // A line that a crash has cut must not swallow the next one.
      if (!(await endsWithNewline(path))) await handle.appendFile('\n')
      return journal
    } catch (error) {
      throw localError('A journal cannot be written', path, error)
    }
  }

  /** All whole lines of a journal; none when it is not there. */
  static async read(path: string): Promise<unknown[]> {
    const text = await unless(readFile(path, 'utf8'), 'ENOENT').catch((error: unknown) => {
      throw localError('A journal cannot be read', path, error)
    })
    return (text ?? '').split('\n').flatMap(parseLine)
  }

  /** Resolves once the line is written. Lines that come while another is being written are written together. */
  append(entry: unknown): Promise<void> {
    this.#waiting.push(`${JSON.stringify(entry)}\n`)
    if (this.#waiting.length === 1) this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    const lines = this.#waiting.join('')
    this.#waiting = []
    try {
      await this.#handle.appendFile(lines)
    } catch (error) {
      throw localError('A journal cannot be written', this.path, error)
    }
  }

  /** Deletes it: there is nothing left to go on with. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true }).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#handle.close().catch(() => undefined)
  }
}

function parseLine(line: string): unknown[] {
  if (line === '') return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

async function endsWithNewline(path: string): Promise<boolean> {
  const text = await readFile(path)
  return text.byteLength === 0 || text[text.byteLength - 1] === 0x0a
}
