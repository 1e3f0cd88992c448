/** Shows progress where people look: bars on a terminal, a line every few seconds elsewhere, nothing when quiet. */
import type { Progress } from '../../client/progress.ts'
import { progressFrame, progressSentence } from './progress-frame.ts'

/** The part of `process.stderr` that is used here. */
export interface TerminalStream {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
  write(text: string): unknown
  hasColors?(): boolean
}

export interface ProgressView extends Disposable {
  /** Draws soon; calling it often costs nothing. */
  update(progress: Progress): void
  /** Prints a line that stays, above whatever is drawn. */
  note(line: string): void
}

export interface ProgressViewOptions {
  readonly stream: TerminalStream
  readonly verb: string
  readonly quiet: boolean
  readonly unicode: boolean
  /** Monotonic ms. */
  readonly now: () => number
}

const FRAME_MS = 80
const SENTENCE_MS = 5000

/** Bars need a terminal; `TERM=dumb` cannot move its cursor. */
export function createProgressView(options: ProgressViewOptions, terminalType: string | undefined): ProgressView {
  if (options.quiet) return silentView(options.stream)
  return options.stream.isTTY === true && terminalType !== 'dumb' ? new BarsView(options) : new SentencesView(options)
}

function silentView(stream: TerminalStream): ProgressView {
  return { update() {}, note: line => void stream.write(`${line}\n`), [Symbol.dispose]() {} }
}

/** Rewrites its lines in place, and takes them away when disposed. The cursor is never hidden, so nothing can leave it so. */
class BarsView implements ProgressView {
  readonly #options: ProgressViewOptions
  #latest: Progress | null = null
  #drawnLines = 0
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null

  constructor(options: ProgressViewOptions) {
    this.#options = options
  }

  update(progress: Progress): void {
    this.#latest = progress
    const waitMs = this.#drawnAtMs + FRAME_MS - this.#options.now()
    if (waitMs <= 0) this.#draw()
    else this.#timer ??= setTimeout(() => this.#draw(), waitMs).unref()
  }

  note(line: string): void {
    this.#options.stream.write(`${this.#eraser()}${line}\n`)
    this.#drawnLines = 0
    this.#draw()
  }

  [Symbol.dispose](): void {
    this.#cancelTimer()
    this.#latest = null
    const eraser = this.#eraser()
    if (eraser !== '') this.#options.stream.write(eraser)
    this.#drawnLines = 0
  }

  #draw(): void {
    this.#cancelTimer()
    if (this.#latest === null) return
    const { stream, verb, unicode, now } = this.#options
    const style = { columns: stream.columns ?? 80, rows: stream.rows ?? 24, unicode, verb }
    const lines = progressFrame(this.#latest, { ...style, colour: stream.hasColors?.() ?? false })
    // One write a frame, each line cleared to its end before the next: no flicker and no leftovers.
    stream.write(this.#eraser() + lines.join('\n'))
    this.#drawnLines = lines.length
    this.#drawnAtMs = now()
  }

  /** To the first column of the first line drawn, clearing all below. */
  #eraser(): string {
    if (this.#drawnLines === 0) return ''
    const up = this.#drawnLines > 1 ? `\x1b[${this.#drawnLines - 1}A` : ''
    return `\r${up}\x1b[J`
  }

  #cancelTimer(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}

class SentencesView implements ProgressView {
  readonly #options: ProgressViewOptions
  #writtenAtMs: number

  constructor(options: ProgressViewOptions) {
    this.#options = options
    this.#writtenAtMs = options.now()
  }

  update(progress: Progress): void {
    const now = this.#options.now()
    if (now - this.#writtenAtMs < SENTENCE_MS) return
    this.#writtenAtMs = now
    this.note(progressSentence(progress, this.#options.verb))
  }

  note(line: string): void {
    this.#options.stream.write(`${line}\n`)
  }

  [Symbol.dispose](): void {}
}
