/**
 * [Note: one clock] Nodes need not agree on the time: each follows the clock of their common database. Between two
 * reads the machine's monotonic clock extends it, so that a jump of the machine's wall clock changes nothing. It is
 * ahead of the database by at most the drift between two reads, so no node ends a lease early. A suspended node is
 * behind until its next read, and ends leases late.
 */
import type { Clock } from '../clock.ts'
import type { NamedLocks } from './record-store.ts'

export interface DatabaseClock extends Disposable {
  readonly now: Clock
}

export interface DatabaseClockOptions {
  /** Time between two reads of the database's clock. */
  readonly everyMs?: number
  /** ms since any start, never backwards. */
  readonly monotonic?: () => number
}

const EVERY_MS = 30_000

/** Reads the clock once before it resolves, then every `everyMs` until it is disposed. @throws unavailable */
export async function followDatabaseClock(
  records: Pick<NamedLocks, 'databaseTime'>,
  { everyMs = EVERY_MS, monotonic = () => performance.now() }: DatabaseClockOptions = {},
): Promise<DatabaseClock> {
  let offsetMs = -Infinity
  const read = async (): Promise<void> => {
    const before = monotonic()
    const time = await records.databaseTime()
    offsetMs = within(offsetMs, { least: time - monotonic(), most: time - before })
  }
  await read()
  // Without the database the monotonic clock continues; requests report the failure themselves.
  const timer = setInterval(() => void read().catch(() => undefined), everyMs)
  timer.unref()
  return { now: () => Math.floor(offsetMs + monotonic()), [Symbol.dispose]: () => clearInterval(timer) }
}

/** The database read its clock between the query and its result: an offset within these bounds stays unchanged. */
function within(offsetMs: number, { least, most }: { least: number; most: number }): number {
  return Math.min(most, Math.max(least, offsetMs))
}
