/** What a process does differently because others share its stores: it agrees with them on time, work and settings. */
import { randomBytes } from 'node:crypto'

import { newId } from '../../protocol/ids.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { SettingsSyncOptions } from '../cluster/settings/settings-sync.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig } from '../config/schema.ts'
import { followDatabaseClock } from '../records/database-clock.ts'
import type { RecordStore } from '../records/record-store.ts'
import { SweepLock } from '../upkeep/sweep-lock.ts'

/** Nodes whose clocks differ go by the clock of the database they share. */
export async function openClock(
  { records: { kind } }: ServerConfig,
  records: RecordStore,
  resources: AsyncDisposableStack,
): Promise<Clock> {
  return kind === 'postgres' ? resources.use(await followDatabaseClock(records)).now : systemClock
}

/**
 * What one step of a sweep may take: the lease is renewed between two. A node that is killed while it holds the lease
 * keeps the others from sweeping for so long beyond the time between two sweeps.
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
