/** What the nodes of a cluster agree on: the time, which of them sweeps, and settings. */
import { randomBytes } from 'node:crypto'

import { newId } from '../../protocol/ids.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { SettingsSyncOptions } from '../cluster/settings/settings-sync.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import { followDatabaseClock } from '../records/database-clock.ts'
import type { RecordStore } from '../records/record-store.ts'
import { SweepLock } from '../upkeep/sweep-lock.ts'

/** Nodes of a cluster use the clock of their shared database, since their own clocks may differ. */
export async function openClock(
  { records: { kind } }: ServerConfig,
  records: RecordStore,
  resources: AsyncDisposableStack,
): Promise<Clock> {
  return kind === 'postgres' ? resources.use(await followDatabaseClock(records)).now : systemClock
}

/**
 * Longest time of one step of a sweep: the lock is renewed between steps. A node that is killed while it holds the
 * lock delays the next sweep by this much.
 */
const SWEEP_STEP_MS = 15_000

export function sweepLock(live: LiveConfig, records: RecordStore): SweepLock {
  const holder = newId(byteCount => randomBytes(byteCount))
  return new SweepLock({ records, holder, ttlMs: () => live.current.upkeep.sweepEveryMs + SWEEP_STEP_MS })
}

/** Deleting this function, its call and `cluster/settings/` removes settings sync. */
export async function followOthers(options: SettingsSyncOptions): Promise<Disposable> {
  return (await import('../cluster/settings/settings-sync.ts')).syncSettings(options)
}
