/** What happened in one run, in the order in which the harness saw it, and what contradicts the promises. */

/** A fault that went on for a while, in ms since the run began; `end` is `null` while it does. */
export interface FaultSpan {
  readonly kind: string
  /** The node it was about; `null` when it concerned all. */
  readonly node: number | null
  readonly start: number
  end: number | null
}

export class ChaosHistory {
  readonly violations: string[] = []
  readonly faults: FaultSpan[] = []
  readonly #startedAt = performance.now()
  readonly #lines: string[] = []
  readonly #counts = new Map<string, number>()

  /** Milliseconds since the run began. */
  now(): number {
    return performance.now() - this.#startedAt
  }

  note(text: string): void {
    this.#lines.push(`${this.now().toFixed(0).padStart(6)} ${text}`)
  }

  /** A promise was broken. The run goes on, so that the history shows what came of it. */
  violate(text: string): void {
    this.violations.push(text)
    this.note(`VIOLATION: ${text}`)
  }

  /** Counts what the run did, so that a run that did nothing is seen. */
  count(what: string): void {
    this.#counts.set(what, this.counted(what) + 1)
  }

  counted(what: string): number {
    return this.#counts.get(what) ?? 0
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }

  begin(kind: string, node: number | null = null): FaultSpan {
    const span: FaultSpan = { kind, node, start: this.now(), end: null }
    this.faults.push(span)
    this.note(`FAULT ${kind}${node === null ? '' : ` node ${node}`}`)
    this.count(`fault ${kind}`)
    return span
  }

  finish(span: FaultSpan): void {
    span.end = this.now()
    this.note(`fault over: ${span.kind}${span.node === null ? '' : ` node ${span.node}`}`)
  }

  toString(): string {
    return this.#lines.join('\n')
  }
}
