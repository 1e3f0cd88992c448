/** Opens the limiters and the change feed: of this process, or of all nodes together. */
import type { SealiftError } from '../../protocol/errors.ts'
import type { Sessions } from '../access/sessions.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { ServerConfig, ValkeyConfig } from '../config/config-schema.ts'
import { watchCredentials } from '../limits/credential-watch.ts'
import type { GrantsAtOnce, NodeSlotLimiter, RateLimiter } from '../limits/limiter.ts'
import { MemoryRateLimiter } from '../limits/memory/rate-limiter.ts'
import { createMemorySlotLimiter } from '../limits/memory/slot-limiter.ts'
import type { ChangeFeed } from '../change-feed/change-feed.ts'
import { createMemoryChangeFeed } from '../change-feed/memory.ts'
import type { Events } from '../telemetry/events.ts'

export interface LimitsAndFeed {
  readonly slots: NodeSlotLimiter & GrantsAtOnce
  /** Slots of long-polling readers, counted apart from transfers. */
  readonly readerSlots: NodeSlotLimiter
  readonly rates: RateLimiter
  readonly feed: ChangeFeed
  /** `null` without a cluster. */
  readonly node: ClusterNode | null
}

export interface OpenLimits {
  readonly config: ServerConfig
  readonly sessions: Sessions
  readonly events: LinkEvents
}

/** Events of the link to Valkey. The link is opened before the telemetry, so the last loss waits for its listener. */
export class LinkEvents {
  #events: Pick<Events, 'failing' | 'recovered'> | null = null
  #lost: SealiftError | null = null

  setListener(events: Pick<Events, 'failing' | 'recovered'>): void {
    this.#events = events
    if (this.#lost) this.lost(this.#lost)
  }

  lost(reason: SealiftError): void {
    this.#lost = reason
    this.#events?.failing(PART, reason)
  }

  back(): void {
    this.#lost = null
    this.#events?.recovered(PART)
  }
}

const PART = 'shared limits'

/** The caller disposes `resources`. @throws unavailable when Valkey is configured and cannot be used */
export async function openLimits(options: OpenLimits, resources: AsyncDisposableStack): Promise<LimitsAndFeed> {
  const { limits } = options.config
  if (limits.shared !== 'valkey' || limits.valkey === null) return openInMemory(options, resources)
  return openShared(limits.valkey, options, resources)
}

function openInMemory({ sessions }: OpenLimits, resources: AsyncDisposableStack): LimitsAndFeed {
  return {
    slots: watchCredentials(resources.use(createMemorySlotLimiter()), sessions),
    readerSlots: watchCredentials(resources.use(createMemorySlotLimiter()), sessions),
    rates: new MemoryRateLimiter(),
    feed: createMemoryChangeFeed(),
    node: null,
  }
}

/** Loads the client of Valkey, which takes tens of megabytes, only here. */
async function openShared(
  { url, prefix, leaseTtlMs, commandTimeoutMs }: ValkeyConfig,
  { sessions, events }: OpenLimits,
  resources: AsyncDisposableStack,
): Promise<LimitsAndFeed> {
  const { joinCluster } = await import('../cluster/cluster-node.ts')
  const { cacheSlots } = await import('../limits/valkey/cached-slots.ts')
  const { createValkeyRateLimiter } = await import('../limits/valkey/rate-limiter.ts')
  const { openValkeySlotLimiter } = await import('../limits/valkey/slot-limiter.ts')
  const { openValkeyChangeFeed } = await import('../change-feed/valkey.ts')
  const node = resources.use(await joinCluster({ url, prefix, leaseTtlMs, commandTimeoutMs, events }))
  const open = (name: string) => openValkeySlotLimiter({ node, name })
  // Without cached slots: `const transfers = resources.use(await open('transfers'))`.
  const transfers = resources.use(await cacheSlots({ slots: await open('transfers'), node, name: 'transfers' }))
  return {
    slots: watchCredentials(transfers, sessions),
    readerSlots: watchCredentials(resources.use(await open('places')), sessions),
    rates: resources.use(createValkeyRateLimiter({ node })),
    feed: resources.use(await openValkeyChangeFeed({ node })),
    node,
  }
}
