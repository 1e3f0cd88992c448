import { setTimeout as sleep } from 'node:timers/promises'

import type { Ticket } from './slot-request.ts'

/** Asks again at the latest after so long: a message may be lost. */
const ASK_AGAIN_MS = 25
/** Who has not given back what it kept by then counts as using it. */
const PATIENCE_MS = 250

/** Those who found no slot while other nodes may have idle ones: they ask again when those have been given back. */
export class SlotRecalls {
  readonly #askAgain: (ticket: Ticket) => void
  readonly #waiting = new Set<Ticket>()
  #timer: NodeJS.Timeout | undefined

  constructor(askAgain: (ticket: Ticket) => void) {
    this.#askAgain = askAgain
  }

  wait(ticket: Ticket): void {
    if (!ticket.isWanted) return
    ticket.recalledAtMs ??= performance.now()
    this.#waiting.add(ticket)
    this.#timer ??= setTimeout(() => this.#all(() => true), ASK_AGAIN_MS).unref()
  }

  /** Nobody keeps idle slots of this line any more. */
  emptied(line: string): void {
    this.#all(ticket => ticket.line.name === line)
  }

  #all(isMeant: (ticket: Ticket) => boolean): void {
    for (const ticket of this.#waiting) {
      if (!isMeant(ticket)) continue
      this.#waiting.delete(ticket)
      if (ticket.state === 'asking') this.#askAgain(ticket)
    }
    clearTimeout(this.#timer)
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#all(() => true), ASK_AGAIN_MS).unref() : undefined
  }
}

/** Whether one who was told to ask again has waited for the others long enough. */
export function hasWaitedForOthers({ recalledAtMs }: Pick<Ticket, 'recalledAtMs'>): boolean {
  return recalledAtMs !== null && performance.now() - recalledAtMs > PATIENCE_MS
}

/**
 * Asks until no other node keeps idle slots, or for as long as that may take.
 * @param ask resolves with `null` when it must be asked again; is told whether it is the last time
 */
export async function askUntilEmptied<T>(ask: (isLast: boolean) => Promise<T | null>): Promise<T | null> {
  const untilMs = performance.now() + PATIENCE_MS
  for (;;) {
    const isLast = performance.now() > untilMs
    const answer = await ask(isLast)
    if (answer !== null || isLast) return answer
    await sleep(PATIENCE_MS / 50)
  }
}
