/**
 * Slots that this node keeps for a moment after their transfers have ended: the next transfer of the same line takes one
 * in the same turn, and Valkey is not asked. For many small media that is most of what sharing slots costs.
 *
 * What is kept counts as held, so the cap holds exactly. And nobody is refused for it: who finds no slot makes Valkey
 * call back what all nodes keep ([Note: reserves] in slot-script.ts). What a line has not used for as long as a sweep
 * goes back by itself. No slot is used that could have lapsed: whoever was paused for long gives up what it kept.
 */
import { ANSWER, NO_RESERVE_MS } from './slot-script.ts'
import type { SlotLedger } from './slot-script-client.ts'

/** A slot as Valkey knows it, in use or kept. */
export interface SlotLease {
  readonly id: string
  /** Of the request that it was taken for. */
  readonly cap: number
  /** Monotonic ms: Valkey has known of it since, or renewed it after. */
  confirmedAtMs: number
}

export interface SlotReservesOptions {
  readonly ledger: Pick<SlotLedger, 'ask'>
  readonly leaseTtlMs: number
  /** Gives a slot back. */
  readonly drop: (line: string, id: string) => void
}

/** What was not needed for so long, goes back. */
const SWEEP_MS = 100
/** Worth a reserve: so many transfers have ended since the last sweep. */
const BUSY_ENDS = 4

class Reserve {
  readonly line: string
  /** The last one is the next to be used. */
  readonly slots: SlotLease[] = []
  /** Whether Valkey knows that this node keeps some. */
  state: 'unknown' | 'asking' | 'known' = 'unknown'
  isRecalled = false
  notBeforeMs = 0
  /** Since the last sweep. */
  ends = 0
  /** The fewest that lay idle at once since the last sweep. */
  fewest = 0

  constructor(line: string) {
    this.line = line
  }
}

export class SlotReserves {
  readonly #options: SlotReservesOptions
  readonly #reserves = new Map<string, Reserve>()
  #timer: NodeJS.Timeout | undefined

  constructor(options: SlotReservesOptions) {
    this.#options = options
  }

  /** A slot for a transfer that may be one of `cap`, if one is kept. */
  take(line: string, cap: number): SlotLease | null {
    const reserve = this.#reserves.get(line)
    const slot = reserve?.slots.at(-1)
    if (!reserve || !slot) return null
    if (slot.cap > cap || !this.#isFresh(slot)) {
      this.recall(line)
      return null
    }
    reserve.slots.pop()
    reserve.fewest = Math.min(reserve.fewest, reserve.slots.length)
    return slot
  }

  /** @returns false: the slot has to be given back */
  keep(line: string, slot: SlotLease): boolean {
    const reserve = this.#of(line)
    reserve.ends += 1
    if (reserve.state === 'unknown') void this.#askToKeep(reserve)
    if (reserve.state !== 'known' || !this.#isFresh(slot)) return false
    reserve.slots.push(slot)
    return true
  }

  /** All of it goes back: somebody needs it, or it must not be used any more. */
  recall(line: string): void {
    const reserve = this.#reserves.get(line)
    if (!reserve) return
    reserve.notBeforeMs = performance.now() + NO_RESERVE_MS
    if (reserve.state === 'asking') reserve.isRecalled = true
    this.#empty(reserve)
  }

  recallAll(): void {
    for (const line of this.#reserves.keys()) this.recall(line)
  }

  /** Makes Valkey keep in mind what is kept. @param renew renews one slot */
  renew(renew: (line: string, slot: SlotLease) => void): void {
    for (const reserve of this.#reserves.values()) {
      for (const slot of reserve.slots) renew(reserve.line, slot)
      if (reserve.state === 'known') void this.#renewPlace(reserve)
    }
  }

  /** Valkey does not know this slot any more. */
  lose(line: string, id: string): void {
    const slots = this.#reserves.get(line)?.slots ?? []
    const at = slots.findIndex(slot => slot.id === id)
    if (at >= 0) slots.splice(at, 1)
  }

  stop(): void {
    this.recallAll()
    clearInterval(this.#timer)
  }

  /** A renewal that is late by as long as one takes is still far from the end of the lease. */
  #isFresh({ confirmedAtMs }: SlotLease): boolean {
    return performance.now() - confirmedAtMs < (this.#options.leaseTtlMs * 2) / 3
  }

  #of(line: string): Reserve {
    const known = this.#reserves.get(line)
    if (known) return known
    const reserve = new Reserve(line)
    this.#reserves.set(line, reserve)
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    return reserve
  }

  async #askToKeep(reserve: Reserve): Promise<void> {
    if (reserve.ends < BUSY_ENDS || performance.now() < reserve.notBeforeMs) return
    reserve.state = 'asking'
    reserve.isRecalled = false
    const answer = await this.#ask('keep', reserve.line)
    reserve.state = answer === ANSWER.granted ? 'known' : 'unknown'
    if (reserve.isRecalled) this.#empty(reserve)
    else if (reserve.state === 'unknown') reserve.notBeforeMs = performance.now() + NO_RESERVE_MS
  }

  async #renewPlace(reserve: Reserve): Promise<void> {
    const answer = await this.#ask('keep', reserve.line)
    if (answer !== ANSWER.granted) this.recall(reserve.line)
  }

  #empty(reserve: Reserve): void {
    for (const { id } of reserve.slots.splice(0)) this.#options.drop(reserve.line, id)
    reserve.fewest = 0
    this.#forsake(reserve)
  }

  /** Says that none is kept, after whatever was kept has been given back. */
  #forsake(reserve: Reserve): void {
    if (reserve.state !== 'known') return
    reserve.state = 'unknown'
    void this.#ask('emptied', reserve.line)
  }

  async #ask(kind: 'keep' | 'emptied', line: string): Promise<number> {
    return this.#options.ledger.ask({ kind, line }).then(
      ({ code }) => code,
      () => ANSWER.refused,
    )
  }

  #sweep(): void {
    for (const reserve of this.#reserves.values()) {
      for (const { id } of reserve.slots.splice(0, reserve.fewest)) this.#options.drop(reserve.line, id)
      if (reserve.ends === 0 && reserve.slots.length === 0) this.#forget(reserve)
      reserve.fewest = reserve.slots.length
      reserve.ends = 0
    }
    if (this.#reserves.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #forget(reserve: Reserve): void {
    if (reserve.state === 'asking' || performance.now() < reserve.notBeforeMs) return
    this.#forsake(reserve)
    this.#reserves.delete(reserve.line)
  }
}
