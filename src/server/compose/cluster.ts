/** What a process does differently because others share its stores: it agrees with them on time, work and settings. */
import { randomBytes } from 'node:crypto'

import { newId } from '../../protocol/ids.ts'
import type { Sessions } from '../access/sessions.ts'
import { systemClock, type Clock } from '../clock.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { LiveConfig, LiveConfigHolder } from '../config/live-config.ts'
import type { ServerConfig } from '../config/schema.ts'
import { followDatabaseClock } from '../records/queries/database-clock.ts'
import type { RecordStore } from '../records/record-store.ts'
import type { Events } from '../telemetry/events.ts'
import { SweepLease } from '../upkeep/sweep-lease.ts'

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

export function sweepLease(live: LiveConfig, records: RecordStore): SweepLease {
  const holder = newId(byteCount => randomBytes(byteCount))
  return new SweepLease({ records, holder, ttlMs: () => live.current.upkeep.sweepEveryMs + SWEEP_STEP_MS })
}

export interface FollowOthers {
  readonly live: LiveConfigHolder
  readonly node: ClusterNode
  readonly sessions: Sessions
  readonly events: Pick<Events, 'configReloaded' | 'configRefused'>
  /** When (monotonic ms) this process read its configuration. */
  readonly readAtMs: number
  readonly reread: (() => Promise<ServerConfig>) | undefined
}

/** What another node is told holds here as well. */
export async function followOthers({ events, reread, ...own }: FollowOthers): Promise<Disposable> {
  const { shareSettings } = await import('../cluster/shared-settings.ts')
  return shareSettings({
    ...own,
    ...(reread ? { reread } : {}),
    events: {
      followed: () => events.configReloaded({ changed: ['(by another node)'], needRestart: [] }),
      refused: problems => events.configRefused(problems),
    },
  })
}
