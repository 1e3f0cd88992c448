/** Opens what limits and wakes: within this process, or for all nodes together. */
import type { SealiftError } from '../../protocol/errors.ts'
import type { Sessions } from '../access/sessions.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { ServerConfig } from '../config/schema.ts'
import type { NodeSlotLimiter, RateLimiter } from '../limits/limiter.ts'
import { MemoryRateLimiter } from '../limits/memory/rate-limiter.ts'
import { createMemorySlotLimiter } from '../limits/memory/slot-limiter.ts'
import type { ChangeFeed } from '../change-feed/change-feed.ts'
import { createMemoryChangeFeed } from '../change-feed/memory.ts'
import type { Events } from '../telemetry/events.ts'

export interface LimitsAndFeed {
  readonly slots: NodeSlotLimiter
  /** Places of readers who wait, counted apart from transfers. */
  readonly places: NodeSlotLimiter
  readonly rates: RateLimiter
  readonly feed: ChangeFeed
  /** This process among the others; `null` when there are none. */
  readonly node: ClusterNode | null
}

export interface OpenLimits {
  readonly config: ServerConfig
  readonly sessions: Sessions
  readonly events: LinkEvents
}

/** Tells of the link to the other nodes. It is there before there is anyone to tell: the last news waits for them. */
export class LinkEvents {
  #events: Pick<Events, 'failing' | 'recovered'> | null = null
  #lost: SealiftError | null = null

  tellTo(events: Pick<Events, 'failing' | 'recovered'>): void {
    this.#events = events
    if (this.#lost) this.lost(this.#lost)
  }

  /** Limits go on, by this node's share. */
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
  // Loaded by the node of a cluster alone: the client of Valkey takes tens of megabytes.
  const { openSharedLimits } = await import('./open-shared-limits.ts')
  return openSharedLimits(limits.valkey, options, resources)
}

function openInMemory({ sessions }: OpenLimits, resources: AsyncDisposableStack): LimitsAndFeed {
  return {
    slots: resources.use(createMemorySlotLimiter({ sessions })),
    places: resources.use(createMemorySlotLimiter({ sessions })),
    rates: new MemoryRateLimiter(),
    feed: createMemoryChangeFeed(),
    node: null,
  }
}
