/** Opens the limiters and the change feed: of this process, or of all nodes together. */
import type { SealiftError } from '../../protocol/errors.ts'
import type { Sessions } from '../access/sessions.ts'
import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { ServerConfig } from '../config/schema.ts'
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
  readonly places: NodeSlotLimiter
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
  // Loaded on demand: Valkey's client takes tens of megabytes.
  const { openSharedLimits } = await import('./open-shared-limits.ts')
  return openSharedLimits(limits.valkey, options, resources)
}

function openInMemory({ sessions }: OpenLimits, resources: AsyncDisposableStack): LimitsAndFeed {
  return {
    slots: watchCredentials(resources.use(createMemorySlotLimiter()), sessions),
    places: watchCredentials(resources.use(createMemorySlotLimiter()), sessions),
    rates: new MemoryRateLimiter(),
    feed: createMemoryChangeFeed(),
    node: null,
  }
}
