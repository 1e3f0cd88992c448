/**
 * Decorates the slot limiter of a cluster with a cache: a slot whose transfer has ended stays held for up to 200 ms,
 * and the next transfer of the same client takes it without a round trip to Valkey (decision 27).
 *
 * A cached slot counts as held in Valkey, so the cap stays exact. A request that finds no free slot reclaims what other
 * nodes cache before it is refused, and so does a count: see slot-reclaim.ts.
 */
import { raceAbort } from '../../../common/abort-race.ts'
import { isSealiftError } from '../../../protocol/errors.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import type { GrantsAtOnce, NodeSlotLimiter, SlotRequest, TransferDirection, TransferSlot } from '../limiter.ts'
import { SlotReclaim } from './slot-reclaim.ts'
import { slotKey } from './slot-script-client.ts'

/** How often unused slots are released. */
const SWEEP_MS = 100
/** Releases of one client between two sweeps beyond which its slots are cached. */
const BUSY_RELEASES = 4
/** An older slot is released rather than cached, so that requests queued at other nodes get it. */
const MAX_AGE_MS = 1000

export interface CachedSlotLimiter extends NodeSlotLimiter, GrantsAtOnce, AsyncDisposable {}

export interface CachedSlotsOptions {
  /** Disposed with the result. */
  readonly slots: NodeSlotLimiter & AsyncDisposable
  readonly node: ClusterNode
  /** The name of `slots`. */
  readonly name: string
}

/** The caller owns `node`, and disposes of it after the result. */
export async function cacheSlots(options: CachedSlotsOptions): Promise<CachedSlotLimiter> {
  const cached = new CachedSlots(options)
  await cached.begin()
  return cached
}

interface CachedSlot {
  readonly slot: TransferSlot
  /** Of the request that acquired it. */
  readonly cap: number
  readonly acquiredAtMs: number
  releasedAtMs: number
}

/** One client and direction. */
interface ClientCache {
  readonly clientId: string
  readonly direction: TransferDirection
  readonly key: string
  /** Most recently released last. */
  readonly idle: CachedSlot[]
  /** Requests of this node that have no slot yet. */
  pending: number
  /** Slots in use. */
  lent: number
  isBusy: boolean
  /** Since the last sweep. */
  releases: number
  /** Smallest size of `idle` since the last sweep. */
  fewestIdle: number
}

class CachedSlots implements CachedSlotLimiter {
  readonly #slots: NodeSlotLimiter & AsyncDisposable
  readonly #node: ClusterNode
  readonly #reclaim: SlotReclaim
  readonly #watch: Disposable
  readonly #clients = new Map<string, ClientCache>()
  readonly #clientsByKey = new Map<string, ClientCache>()
  readonly #idle = { upload: 0, download: 0 }
  #sweepTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor({ slots, node, name }: CachedSlotsOptions) {
    this.#slots = slots
    this.#node = node
    this.#reclaim = new SlotReclaim({ node, name, release: key => this.#releaseKey(key) })
    this.#watch = node.watch({ disconnected: () => this.#releaseAll() })
  }

  begin(): Promise<void> {
    return this.#reclaim.begin()
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    const cached = this.tryAcquire(request)
    if (cached) return cached
    const client = this.#client(request)
    client.pending += 1
    try {
      const slot = await this.#acquire(client, request, signal)
      const now = performance.now()
      return this.#lend(client, { slot, cap: request.cap, acquiredAtMs: now, releasedAtMs: now })
    } finally {
      client.pending -= 1
    }
  }

  tryAcquire({ clientId, direction, cap }: SlotRequest): TransferSlot | null {
    const client = this.#clients.get(nameOf(clientId, direction))
    const cached = client?.idle.at(-1)
    if (!client || !cached) return null
    // Timers do not run while the process is paused, and Valkey may have granted the slot to another request meanwhile.
    const isStale = cached.slot.signal.aborted || performance.now() - cached.releasedAtMs > 2 * SWEEP_MS
    if (isStale || cached.cap > cap) {
      this.#releaseIdle(client)
      return null
    }
    client.idle.pop()
    this.#idle[direction] -= 1
    client.fewestIdle = Math.min(client.fewestIdle, client.idle.length)
    return this.#lend(client, cached)
  }

  async held(clientId: string, direction: TransferDirection, signal?: AbortSignal): Promise<number> {
    const client = this.#clients.get(nameOf(clientId, direction))
    if (client) this.#releaseIdle(client)
    const reclaimed = this.#reclaim.reclaim(slotKey(clientId, direction))
    await (signal ? raceAbort(reclaimed, signal) : reclaimed)
    return this.#slots.held(clientId, direction, signal)
  }

  looksFree(request: SlotRequest): boolean {
    const client = this.#clients.get(nameOf(request.clientId, request.direction))
    return (client !== undefined && client.idle.length > 0) || this.#slots.looksFree(request)
  }

  inFlight(direction: TransferDirection): number {
    return this.#slots.inFlight(direction) - this.#idle[direction]
  }

  waiting(direction: TransferDirection): number {
    return this.#slots.waiting(direction)
  }

  close(): void {
    this.#closed = true
    this.#releaseAll()
    this.#slots.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    clearInterval(this.#sweepTimer)
    this.#watch[Symbol.dispose]()
    await this.#slots[Symbol.asyncDispose]()
  }

  /** Reclaims when the request is queued, or refused without being queued. */
  async #acquire({ key }: ClientCache, request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    let hasReclaimed = false
    const onQueued = () => {
      hasReclaimed = true
      void this.#reclaim.reclaim(key)
    }
    try {
      return await this.#slots.acquire({ ...request, onQueued }, signal)
    } catch (error) {
      if (hasReclaimed || !isSealiftError(error, 'too_many_uploads', 'too_many_downloads')) throw error
      if (!(await raceAbort(this.#reclaim.reclaim(key), signal))) throw error
      return await this.#slots.acquire(request, signal)
    }
  }

  #client({ clientId, direction }: SlotRequest): ClientCache {
    const name = nameOf(clientId, direction)
    const known = this.#clients.get(name)
    if (known) return known
    const key = slotKey(clientId, direction)
    const counts = { pending: 0, lent: 0, isBusy: false, releases: 0, fewestIdle: 0 }
    const client: ClientCache = { clientId, direction, key, idle: [], ...counts }
    this.#clients.set(name, client)
    this.#clientsByKey.set(key, client)
    this.#sweepTimer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref()
    return client
  }

  #lend(client: ClientCache, cached: CachedSlot): TransferSlot {
    client.lent += 1
    return new LentSlot(cached.slot, () => this.#returned(client, cached))
  }

  #returned(client: ClientCache, cached: CachedSlot): void {
    client.lent -= 1
    client.releases += 1
    cached.releasedAtMs = performance.now()
    if (!this.#mayCache(client, cached)) return cached.slot[Symbol.dispose]()
    client.idle.push(cached)
    this.#idle[client.direction] += 1
  }

  #mayCache(client: ClientCache, { slot, acquiredAtMs, releasedAtMs: now }: CachedSlot): boolean {
    client.isBusy ||= client.releases > BUSY_RELEASES
    if (!client.isBusy || client.pending > 0 || this.#closed || this.#node.phase !== 'joined') return false
    return now - acquiredAtMs < MAX_AGE_MS && !this.#reclaim.isPaused(client.key, now) && !slot.signal.aborted
  }

  /** The least recently released ones. */
  #releaseIdle(client: ClientCache, count = client.idle.length): void {
    this.#idle[client.direction] -= count
    for (const { slot } of client.idle.splice(0, count)) slot[Symbol.dispose]()
    client.fewestIdle = client.idle.length
  }

  #releaseAll(): void {
    for (const client of this.#clients.values()) this.#releaseIdle(client)
  }

  async #releaseKey(key: string): Promise<void> {
    const client = this.#clientsByKey.get(key)
    if (!client) return
    this.#releaseIdle(client)
    // The count is a barrier: Valkey runs the releases before it.
    await this.#slots.held(client.clientId, client.direction)
  }

  #sweep(): void {
    for (const [name, client] of this.#clients) {
      this.#releaseIdle(client, client.fewestIdle)
      client.isBusy &&= client.releases > 0 || client.idle.length > 0
      client.releases = 0
      if (client.isBusy || client.pending > 0 || client.lent > 0) continue
      this.#clients.delete(name)
      this.#clientsByKey.delete(client.key)
    }
    if (this.#clients.size > 0) return
    clearInterval(this.#sweepTimer)
    this.#sweepTimer = undefined
  }
}

/** A slot of the cache while a transfer uses it. */
class LentSlot implements TransferSlot {
  readonly #slot: TransferSlot
  readonly #onReturned: () => void
  #isReturned = false

  constructor(slot: TransferSlot, onReturned: () => void) {
    this.#slot = slot
    this.#onReturned = onReturned
  }

  get signal(): AbortSignal {
    return this.#slot.signal
  }

  [Symbol.dispose](): void {
    if (this.#isReturned) return
    this.#isReturned = true
    this.#onReturned()
  }
}

function nameOf(clientId: string, direction: TransferDirection): string {
  return `${direction} ${clientId}`
}
