/** Shows progress where people look: bars on a terminal, a line every few seconds elsewhere, nothing when quiet. */
import type { Progress } from '../../client/progress.ts'
import { progressFrame, progressSentence, troubleLine, troubleText, type Trouble } from './progress-frame.ts'
import { draw, say, type StyledLine } from './writer.ts'

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
  /** Says why nothing moves; forgotten as soon as something does. */
  trouble(trouble: Trouble): void
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
/** A pause is counted down. */
const TICK_MS = 1000

/** Bars need a terminal; `TERM=dumb` cannot move its cursor. */
export function createProgressView(options: ProgressViewOptions, terminalType: string | undefined): ProgressView {
  if (options.quiet) return silentView(options.stream)
  return options.stream.isTTY === true && terminalType !== 'dumb' ? new BarsView(options) : new SentencesView(options)
}

function silentView(stream: TerminalStream): ProgressView {
  return { update() {}, trouble() {}, note: line => say(stream, line), [Symbol.dispose]() {} }
}

/**
 * Rewrites its lines in place, and takes them away when disposed. The cursor is never hidden, so nothing can leave it
 * so.
 */
class BarsView implements ProgressView {
  readonly #options: ProgressViewOptions
  #latest: Progress | null = null
  #trouble: { readonly what: string; readonly untilMs: number } | null = null
  #ticker: NodeJS.Timeout | null = null
  #drawnLines = 0
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | null = null

  constructor(options: ProgressViewOptions) {
    this.#options = options
  }

  update(progress: Progress): void {
    if (progress.bytes > (this.#latest?.bytes ?? 0)) this.#forgetTrouble()
    this.#latest = progress
    const waitMs = this.#drawnAtMs + FRAME_MS - this.#options.now()
    if (waitMs <= 0) this.#draw()
    else this.#timer ??= setTimeout(() => this.#draw(), waitMs).unref()
  }

  trouble({ what, waitMs }: Trouble): void {
    this.#trouble = { what, untilMs: this.#options.now() + waitMs }
    this.#ticker ??= setInterval(() => this.#draw(), TICK_MS).unref()
    this.#draw()
  }

  note(line: string): void {
    draw(this.#options.stream, { erase: this.#drawnLines, message: line, lines: [] })
    this.#drawnLines = 0
    this.#draw()
  }

  [Symbol.dispose](): void {
    this.#cancelTimer()
    this.#forgetTrouble()
    this.#latest = null
    draw(this.#options.stream, { erase: this.#drawnLines, lines: [] })
    this.#drawnLines = 0
  }

  #draw(): void {
    this.#cancelTimer()
    const lines = this.#lines()
    if (lines.length === 0) return
    const { stream, now } = this.#options
    draw(stream, { erase: this.#drawnLines, lines })
    this.#drawnLines = lines.length
    this.#drawnAtMs = now()
  }

  #lines(): StyledLine[] {
    const { stream, verb, unicode, now } = this.#options
    const colour = stream.hasColors?.() ?? false
    const style = { columns: stream.columns ?? 80, rows: stream.rows ?? 24, unicode, verb, colour }
    const lines = this.#latest ? progressFrame(this.#latest, style) : []
    if (this.#trouble) lines.push(troubleLine({ ...this.#trouble, waitMs: this.#trouble.untilMs - now() }, style))
    return lines
  }

  #forgetTrouble(): void {
    this.#trouble = null
    if (this.#ticker) clearInterval(this.#ticker)
    this.#ticker = null
  }

  #cancelTimer(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }
}

class SentencesView implements ProgressView {
  readonly #options: ProgressViewOptions
  #writtenAtMs: number
  #troubledAtMs = Number.NEGATIVE_INFINITY

  constructor(options: ProgressViewOptions) {
    this.#options = options
    this.#writtenAtMs = options.now()
  }

  trouble(trouble: Trouble): void {
    const now = this.#options.now()
    if (now - this.#troubledAtMs < SENTENCE_MS) return
    this.#troubledAtMs = now
    this.note(`${this.#options.verb}: ${troubleText(trouble)}`)
  }

  update(progress: Progress): void {
    const now = this.#options.now()
    if (now - this.#writtenAtMs < SENTENCE_MS) return
    this.#writtenAtMs = now
    this.note(progressSentence(progress, this.#options.verb))
  }

  note(line: string): void {
    say(this.#options.stream, line)
  }

  [Symbol.dispose](): void {}
}
