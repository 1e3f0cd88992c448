/** What a command may touch of the outside world. */
import type { Readable } from 'node:stream'

import { localError } from '../client/node/files/local-error.ts'
import { OutputClosed } from './exit-codes.ts'
import { printable } from './terminal/text.ts'
import { createProgressView, type ProgressView, type TerminalStream } from './terminal/progress-view.ts'
import { printJson, printLines, say } from './terminal/writer.ts'

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

  /** A result for people, in one line; left out with `--json`. */
  async line(text: string): Promise<void> {
    await this.lines([text])
  }

  async lines(texts: readonly string[]): Promise<void> {
    if (!this.json && texts.length > 0) await printLines(this.#io.stdout, texts)
  }

  /** The result for programs; left out without `--json`. */
  async result(value: object): Promise<void> {
    if (this.json) await printJson(this.#io.stdout, value)
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
    if (!this.#quiet) this.warn(text)
  }

  /** Something that went wrong; always said. */
  warn(text: string): void {
    if (this.#view) this.#view.note(text)
    else say(this.#io.stderr, text)
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

function canShowUnicode(env: CliIo['env']): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return /utf-?8/i.test(locale) || process.platform === 'win32' || process.platform === 'darwin'
}

/** A name in a sentence, harmless and short. */
export function quoted(name: string): string {
  return `"${printable(name)}"`
}
