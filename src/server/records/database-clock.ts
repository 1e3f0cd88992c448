/**
 * [Note: one clock] Nodes need not agree on the time: each follows the clock of the database they share. What it reads
 * is set forth by the monotonic clock of the machine, so that a jump of the machine's own time changes nothing. It is
 * never ahead of the database by more than the drift between two looks: no node ends anything early. A node that was
 * suspended is behind until it looks again, which ends things late.
 */
import type { Clock } from '../clock.ts'
import type { NamedLocks } from './record-store.ts'

export interface DatabaseClock extends Disposable {
  readonly now: Clock
}

export interface DatabaseClockOptions {
  /** How often the database is asked. */
  readonly everyMs?: number
  /** ms since any moment, never backwards. */
  readonly monotonic?: () => number
}

const EVERY_MS = 30_000

/** Asks once before it resolves, then again and again until it is disposed. @throws unavailable */
export async function followDatabaseClock(
  records: Pick<NamedLocks, 'databaseTime'>,
  { everyMs = EVERY_MS, monotonic = () => performance.now() }: DatabaseClockOptions = {},
): Promise<DatabaseClock> {
  let offsetMs = -Infinity
  const look = async (): Promise<void> => {
    const before = monotonic()
    const time = await records.databaseTime()
    offsetMs = within(offsetMs, { least: time - monotonic(), most: time - before })
  }
  await look()
  // Without an answer the clock goes on by itself; whoever needs the database hears of it anyway.
  const timer = setInterval(() => void look().catch(() => undefined), everyMs)
  timer.unref()
  return { now: () => Math.floor(offsetMs + monotonic()), [Symbol.dispose]: () => clearInterval(timer) }
}

/** The database read its clock somewhere between question and answer: what agrees with that stays as it is. */
function within(offsetMs: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, offsetMs))
}
