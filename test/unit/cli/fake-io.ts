import { Readable, Writable } from 'node:stream'

import type { CliIo } from '../../../src/cli/cli-io.ts'
import type { TerminalStream } from '../../../src/cli/terminal/progress-view.ts'

/** An outside world in memory: what was written can be read back. */
export interface FakeIo extends CliIo {
  readonly out: () => string
  readonly err: () => string
  readonly abort: AbortController
}

export function fakeIo(env: Readonly<Record<string, string>> = {}, stdin: Readable = Readable.from([])): FakeIo {
  const out: Buffer[] = []
  const err: string[] = []
  const abort = new AbortController()
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      out.push(chunk)
      done()
    },
  })
  return {
    stdin,
    stdout,
    stderr: { write: text => err.push(text) },
    env,
    signal: abort.signal,
    abort,
    out: () => Buffer.concat(out).toString(),
    err: () => err.join(''),
  }
}

const ESCAPE = '\u001b'
const CLEAR = `${ESCAPE}[J`
/** Separates escape sequences, line breaks and returns from text. */
const ESCAPE_OR_CHARACTER = new RegExp(`(${ESCAPE}\\[\\d*[A-Za-z]|[\\r\\n])`, 'u')

/** A terminal that records what was written to it, and the screen that results. */
export class FakeTerminal implements TerminalStream {
  readonly isTTY = true
  columns: number
  rows: number
  readonly writes: string[] = []
  readonly #colours: boolean

  constructor(size: { columns: number; rows: number }, colours = false) {
    this.columns = size.columns
    this.rows = size.rows
    this.#colours = colours
  }

  write(text: string): void {
    this.writes.push(text)
  }

  hasColors(): boolean {
    return this.#colours
  }

  /** Lines as they stand, understanding the few sequences that are used. */
  screen(): string[] {
    const lines = ['']
    let row = 0
    for (const token of this.writes.join('').split(ESCAPE_OR_CHARACTER)) {
      if (token === '\n') row += 1
      else if (token === CLEAR) lines.splice(row, Infinity, '')
      else if (token.startsWith(ESCAPE) && token.endsWith('A')) row -= Number(token.slice(2, -1))
      else if (!token.startsWith(ESCAPE) && token !== '\r') lines[row] = (lines[row] ?? '') + token
      lines[row] ??= ''
    }
    return lines
  }
}
