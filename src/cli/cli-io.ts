/** What a command may touch of the outside world. */
import type { Readable } from 'node:stream'

import { localError } from '../client/node/local-error.ts'
import { printable, safeJson } from './terminal/text.ts'
import { createProgressView, type ProgressView, type TerminalStream } from './terminal/progress-view.ts'
import { OutputClosed } from './exit-codes.ts'

export interface CliIo {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number }
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: TerminalStream
  readonly env: Readonly<Record<string, string | undefined>>
  /** Aborts with `Interrupted` on Ctrl-C, with `OutputClosed` when stdout breaks. */
  readonly signal: AbortSignal
}

export interface OutputOptions {
  readonly json?: boolean
  readonly quiet?: boolean
}

/**
 * What a command says: results on stdout, everything else on stderr. With `--json` stdout gets one object and nothing
 * else.
 */
export class Output {
  readonly json: boolean
  readonly #io: CliIo
  readonly #quiet: boolean
  #view: ProgressView | null = null

  constructor(io: CliIo, options: OutputOptions = {}) {
    this.#io = io
    this.json = options.json ?? false
    this.#quiet = options.quiet ?? false
  }

  /** A result for people; left out with `--json`. */
  async line(text: string): Promise<void> {
    if (!this.json) await writeAll(this.#io.stdout, `${text}\n`)
  }

  /** The result for programs; left out without `--json`. */
  async result(value: object): Promise<void> {
    if (this.json) await writeAll(this.#io.stdout, `${safeJson(value)}\n`)
  }

  /**
   * A link, and what goes with it for programs. It is all that leads to what was sent, so standard error gets it where
   * standard output does not take it.
   * @throws what hindered standard output
   */
  async link(link: string, result?: object): Promise<void> {
    try {
      await this.line(link)
      if (result) await this.result(result)
    } catch (error) {
      this.warn('Standard output does not take the link, which is:')
      this.warn(link)
      throw error instanceof OutputClosed ? error : localError('It cannot be written', 'standard output', error)
    }
  }

  /** Something worth knowing, above the bars while there are any; left out with `--quiet`. */
  note(text: string): void {
    if (this.#quiet) return
    if (this.#view) this.#view.note(text)
    else this.#io.stderr.write(`${text}\n`)
  }

  /** Something that went wrong; always said. */
  warn(text: string): void {
    this.#io.stderr.write(`${text}\n`)
  }

  /** Bars or lines about what moves. Dispose it before printing anything else. */
  progress(verb: string): ProgressView {
    const { stderr, env } = this.#io
    const unicode = canShowUnicode(env)
    const options = { stream: stderr, verb, quiet: this.#quiet, unicode, now: () => performance.now() }
    const view = createProgressView(options, env['TERM'])
    this.#view = view
    return {
      update: progress => view.update(progress),
      trouble: trouble => view.trouble(trouble),
      note: line => view.note(line),
      [Symbol.dispose]: () => {
        view[Symbol.dispose]()
        this.#view = null
      },
    }
  }
}

/** Resolves when the stream took the text. @throws OutputClosed when nobody reads it any more */
export function writeAll(stream: NodeJS.WritableStream, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, error => {
      if (!error) resolve()
      else reject(isBrokenPipe(error) ? new OutputClosed('stdout was closed') : error)
    })
  })
}

export function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED')
}

function canShowUnicode(env: CliIo['env']): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return /utf-?8/i.test(locale) || process.platform === 'win32' || process.platform === 'darwin'
}

/** A name in a sentence, harmless and short. */
export function quoted(name: string): string {
  return `"${printable(name)}"`
}
