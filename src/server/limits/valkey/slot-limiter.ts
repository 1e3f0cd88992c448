/**
 * Transfer slots of all nodes together, counted in Valkey: slot-script.ts says what Valkey stores.
 *
 * Exact while nodes reach Valkey: one script grants. A heartbeat renews each hold of a node by its id. A hold that is
 * not renewed within a lease expires, and a node that learns that its hold has expired ends the transfer.
 * While Valkey is away, held slots stay held, and each node grants from its share of the cap (partition-fallback.ts).
 */
import { raceAbort } from '../../../common/abort-race.ts'
import type { SealiftError } from '../../../protocol/errors.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'
import { AverageHoldTime, HeldSlot, shuttingDown, slotExpired, tooManyTransfers } from '../held-slot.ts'
import type { NodeSlotLimiter, SlotRequest, TransferDirection, TransferSlot } from '../limiter.ts'
import { PartitionFallback } from './partition-fallback.ts'
import { ReleaseOutbox, SlotHeartbeat } from './slot-heartbeat.ts'
import { ClientSlots, SlotHold, startQueueTimeout } from './slot-request.ts'
import { SlotScriptClient, slotKey, type SlotReply } from './slot-script-client.ts'
import { REPLY } from './slot-script.ts'

export interface ValkeySlotLimiter extends NodeSlotLimiter, AsyncDisposable {
  held(clientId: string, direction: TransferDirection, signal?: AbortSignal): Promise<number>
  /** Takes away the slots that are held, and releases them for the other nodes. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface ValkeySlotLimiterOptions {
  readonly node: ClusterNode
  /** Keeps the keys of several limiters apart: a short word. */
  readonly name: string
}

/** The caller owns `node`, and disposes of it after the limiter. */
export async function openValkeySlotLimiter(options: ValkeySlotLimiterOptions): Promise<ValkeySlotLimiter> {
  const limiter = new SlotLimiterInValkey(options)
  await limiter.begin()
  return limiter
}

/** While slots are counted again after a flush, requests retry this often. */
const RETRY_MS = 100

class SlotLimiterInValkey implements ValkeySlotLimiter {
  readonly #node: ClusterNode
  readonly #name: string
  readonly #script: SlotScriptClient
  readonly #clients = new Map<string, ClientSlots>()
  readonly #holds = new Map<string, SlotHold>()
  readonly #counts = { upload: { held: 0, waiting: 0 }, download: { held: 0, waiting: 0 } }
  readonly #holdTime = { upload: new AverageHoldTime(), download: new AverageHoldTime() }
  readonly #watch: Disposable
  readonly #fallback: PartitionFallback
  readonly #outbox: ReleaseOutbox
  readonly #heartbeat: SlotHeartbeat
  #retryTimer: NodeJS.Timeout | undefined
  #lastNumber = 0
  #closed = false

  constructor({ node, name }: ValkeySlotLimiterOptions) {
    this.#node = node
    this.#name = name
    this.#fallback = new PartitionFallback(node, (hold, ahead) => this.#refusal(hold, ahead))
    this.#script = new SlotScriptClient({
      node,
      name,
      onGranted: holds => this.#granted(holds),
      onForgotten: () => this.#heartbeat.report(),
    })
    this.#outbox = new ReleaseOutbox(node, this.#script)
    this.#heartbeat = new SlotHeartbeat({
      script: this.#script,
      outbox: this.#outbox,
      holds: () => this.#holds.values(),
      onExpired: hold => this.#expired(hold),
    })
    this.#watch = node.watch({
      joined: () => {
        this.#heartbeat.report()
        this.#askAgain()
      },
      partitioned: () => this.#fallback.takeOver(this.#clients.values()),
      heartbeat: () => this.#heartbeat.report(),
    })
  }

  async begin(): Promise<void> {
    const { link, id } = this.#node
    await Promise.all([
      link.subscribe(`${this.#name}:wake:${id}`, holds => this.#granted(holds.split(' '))),
      link.subscribe(`${this.#name}:wake:all`, message => this.#receive(message)),
    ])
    if (this.#node.phase === 'joined') this.#heartbeat.report()
  }

  async acquire(request: SlotRequest, signal: AbortSignal): Promise<TransferSlot> {
    signal.throwIfAborted()
    if (this.#closed) throw shuttingDown()
    const hold = this.#newHold(request)
    try {
      this.#ask(hold)
      await this.#outcome(hold, signal)
    } catch (error) {
      this.#end(hold)
      throw error
    }
    return this.#slot(hold)
  }

  async held(clientId: string, direction: TransferDirection, signal?: AbortSignal): Promise<number> {
    const key = slotKey(clientId, direction)
    const heldHere = () => this.#clients.get(key)?.held.size ?? 0
    if (this.#node.phase !== 'joined') return heldHere()
    const counted = this.#script.run({ kind: 'count', key }).then(({ value }) => Number(value), heldHere)
    return signal ? raceAbort(counted, signal) : counted
  }

  looksFree({ clientId, direction, cap }: SlotRequest): boolean {
    if (this.#node.phase !== 'joined') return false
    const client = this.#clients.get(slotKey(clientId, direction))
    return client === undefined || (client.requested.size === 0 && client.held.size < cap)
  }

  inFlight(direction: TransferDirection): number {
    return this.#counts[direction].held
  }

  waiting(direction: TransferDirection): number {
    return this.#counts[direction].waiting
  }

  close(): void {
    this.#closed = true
    for (const hold of this.#holds.values()) hold.refuse(shuttingDown())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
    clearTimeout(this.#retryTimer)
    this.#watch[Symbol.dispose]()
    for (const hold of this.#holds.values()) hold.onExpired?.()
    for (const hold of this.#holds.values()) this.#end(hold)
    await this.#script.idle()
  }

  #newHold(request: SlotRequest): SlotHold {
    const key = slotKey(request.clientId, request.direction)
    const client = this.#clients.get(key) ?? new ClientSlots(key)
    this.#clients.set(key, client)
    this.#lastNumber += 1
    const hold = new SlotHold(`${this.#node.id}:${this.#lastNumber}`, client, request)
    this.#holds.set(hold.id, hold)
    return hold
  }

  /** While the node is rejoining, the request stays `asking`: `#askAgain` or the fallback decides. */
  #ask(hold: SlotHold): void {
    if (this.#node.phase === 'joined') void this.#take(hold)
    else if (this.#node.phase === 'partitioned') this.#fallback.decide(hold)
  }

  async #take(hold: SlotHold): Promise<void> {
    const { id, client, request } = hold
    hold.isKnown = true
    try {
      const { cap, queue } = request
      this.#replied(hold, await this.#script.run({ kind: 'take', key: client.key, hold: id, cap, queue }))
    } catch {
      // The link broke. If the phase is `partitioned` already, no other event decides about this request.
      if (hold.state === 'asking' && this.#node.phase === 'partitioned') this.#fallback.decide(hold)
    }
  }

  #replied(hold: SlotHold, { code, value }: SlotReply): void {
    if (code === REPLY.granted) hold.grant()
    else if (code === REPLY.refused) hold.refuse(this.#refusal(hold, Number(value)))
    else if (code === REPLY.settling) this.#retryTimer ??= setTimeout(() => this.#askAgain(), RETRY_MS).unref()
    else if (hold.hasTimedOut) hold.refuse(this.#refusal(hold, hold.client.requested.size))
    else if (hold.state === 'asking') {
      hold.state = 'waiting'
      hold.arrival = value
      hold.request.onQueued?.()
    }
  }

  #refusal({ request }: SlotHold, ahead: number): SealiftError {
    return tooManyTransfers(request, this.#holdTime[request.direction].retryAfterSeconds(ahead, request.cap))
  }

  async #outcome(hold: SlotHold, signal: AbortSignal): Promise<void> {
    const counts = this.#counts[hold.request.direction]
    const onAbort = () => hold.refuse(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    using _ = startQueueTimeout(hold, {
      graceMs: 2 * this.#node.link.commandTimeoutMs + this.#node.leaseTtlMs,
      refuse: () => hold.refuse(this.#refusal(hold, hold.client.requested.size)),
    })
    counts.waiting += 1
    try {
      await hold.outcome
    } finally {
      counts.waiting -= 1
      signal.removeEventListener('abort', onAbort)
    }
  }

  #slot(hold: SlotHold): TransferSlot {
    const { direction } = hold.request
    const since = performance.now()
    this.#counts[direction].held += 1
    const slot = new HeldSlot(() => {
      hold.onExpired = null
      this.#counts[direction].held -= 1
      this.#holdTime[direction].record(performance.now() - since)
      this.#end(hold)
    })
    hold.onExpired = () => slot.takeAway(this.#closed ? shuttingDown() : slotExpired())
    // The hold may have expired since its grant.
    if (hold.state === 'over') hold.onExpired()
    return slot
  }

  /** Also reports the end of the hold to Valkey if Valkey may know it. */
  #end(hold: SlotHold): void {
    hold.end()
    const { client, id } = hold
    if (!this.#holds.delete(id)) return
    if (hold.isKnown) this.#outbox.release(client.key, id)
    if (this.#node.phase === 'partitioned') this.#fallback.grantWaiting(client)
    if (client.isIdle) this.#clients.delete(client.key)
  }

  /** Holds that another command granted. The release of a hold that has ended meanwhile is in flight. */
  #granted(ids: readonly string[]): void {
    for (const id of ids) this.#holds.get(id)?.grant()
  }

  #receive(message: string): void {
    if (this.#node.phase !== 'joined') return
    this.#heartbeat.report()
    if (message === 'open') this.#askAgain()
  }

  #expired(hold: SlotHold): void {
    if (hold.state !== 'held') return
    hold.isKnown = false
    this.#end(hold)
    hold.onExpired?.()
  }

  /** Sends the requests to Valkey, in order, that have no reply or were queued at this node alone. */
  #askAgain(): void {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    if (this.#node.phase !== 'joined') return
    for (const hold of this.#holds.values()) {
      if (hold.state === 'waiting' && !hold.isKnown) hold.state = 'asking'
      if (hold.state === 'asking') void this.#take(hold)
    }
  }
}
