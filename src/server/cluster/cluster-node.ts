/**
 * This process as one of several nodes that share limits: it announces itself to Valkey and knows how many nodes live.
 *
 * - `joined`: the link is up and Valkey counts this node.
 * - `rejoining`: the link was lost less than a command timeout ago. Mostly it is back soon (a restart, a failover), so
 *   requests for slots wait.
 * - `partitioned`: the link has been down longer; each node grants from its share of the limits.
 */
import { randomBytes } from 'node:crypto'

import { newId } from '../../protocol/ids.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { defineScript, openValkeyLink, type ValkeyLink, type ValkeyLinkOptions } from './valkey-link.ts'

export type Phase = 'joined' | 'rejoining' | 'partitioned'

export interface NodeWatcher {
  /** Phase `joined` began: at first, and after each loss of the link. */
  joined?(): void
  /** Phase `rejoining` began. */
  disconnected?(): void
  /** Phase `partitioned` began. */
  partitioned?(): void
  /** Time to renew what this node holds in Valkey. */
  heartbeat?(): void
}

export interface ClusterNode extends AsyncDisposable {
  /** Never used again, by another process or by this one after a restart. */
  readonly id: string
  readonly link: ValkeyLink
  readonly phase: Phase
  /** Living nodes, this one included; the last known number while it is not joined. */
  readonly nodes: number
  /** What a node does not renew for this long expires. */
  readonly leaseTtlMs: number
  watch(watcher: NodeWatcher): Disposable
}

export interface ClusterNodeOptions extends ValkeyLinkOptions {
  /** Default 10000. */
  readonly leaseTtlMs?: number
  /** Each is called once per loss of the link. */
  readonly events?: {
    lost(reason: SealiftError): void
    back(): void
  }
}

/** @throws unavailable when Valkey cannot be used: one plain message that names the setting */
export async function joinCluster(options: ClusterNodeOptions): Promise<ClusterNode> {
  const link = await openValkeyLink(options)
  const node = new Node(link, options)
  try {
    await node.listen()
    await node.join()
    return node
  } catch (error) {
    await node[Symbol.asyncDispose]()
    throw error
  }
}

/** Goes by the server's clock alone. */
const HEARTBEAT = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZCARD', KEYS[1])
`)

const HEARTBEATS_PER_LEASE = 3

class Node implements ClusterNode {
  readonly id = newId(byteCount => randomBytes(byteCount))
  readonly link: ValkeyLink
  readonly leaseTtlMs: number
  readonly #nodesKey: string
  readonly #helloChannel: string
  readonly #watchers = new Set<NodeWatcher>()
  readonly #counts = new RecentMaximum()
  readonly #events: ClusterNodeOptions['events']
  readonly #timer: NodeJS.Timeout
  #phase: Phase = 'rejoining'
  #partitionTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(link: ValkeyLink, { leaseTtlMs = 10_000, events }: ClusterNodeOptions) {
    this.link = link
    this.leaseTtlMs = leaseTtlMs
    this.#events = events
    this.#nodesKey = nodesKey(link.prefix)
    this.#helloChannel = `${link.prefix}hello`
    link.watch({ up: () => void this.join().catch(() => undefined), down: reason => this.#disconnected(reason) })
    this.#timer = setInterval(() => this.#heartbeat(), leaseTtlMs / HEARTBEATS_PER_LEASE).unref()
  }

  get phase(): Phase {
    return this.#phase
  }

  get nodes(): number {
    return this.#counts.maximum
  }

  watch(watcher: NodeWatcher): Disposable {
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }

  async listen(): Promise<void> {
    await this.link.subscribe('hello', from => {
      if (from !== this.id) this.#count().catch(() => undefined)
    })
  }

  async join(): Promise<void> {
    await this.#count()
    if (this.#closed || this.#phase === 'joined') return
    // The link may break in the turn in which the response arrives.
    if (!this.link.isUp) throw new SealiftError('unavailable', 'The connection to Valkey broke while this node joined')
    clearTimeout(this.#partitionTimer)
    const isBack = this.#phase === 'partitioned' || this.#partitionTimer !== undefined
    this.#partitionTimer = undefined
    this.#phase = 'joined'
    // The other nodes count this one at once, not at their next heartbeat.
    this.link.send(['PUBLISH', this.#helloChannel, this.id]).catch(() => undefined)
    if (isBack) this.#events?.back()
    for (const watcher of this.#watchers) watcher.joined?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#partitionTimer)
    this.#watchers.clear()
    if (this.link.isUp) await this.link.send(['ZREM', this.#nodesKey, this.id]).catch(() => undefined)
    await this.link[Symbol.asyncDispose]()
  }

  #heartbeat(): void {
    if (this.#phase !== 'joined') return
    this.#count().catch(() => undefined)
    for (const watcher of this.#watchers) watcher.heartbeat?.()
  }

  async #count(): Promise<void> {
    const count = await this.link.run(HEARTBEAT, [this.#nodesKey], [this.id, String(this.leaseTtlMs)])
    // A node that misses a heartbeat may be back soon with all that it holds: it counts for two leases.
    this.#counts.add(Number(count), performance.now(), 2 * this.leaseTtlMs)
  }

  /** A link that breaks again before this node has rejoined was down all the time. */
  #disconnected(reason: SealiftError): void {
    if (this.#closed || this.#phase !== 'joined') return
    this.#phase = 'rejoining'
    this.#partitionTimer = setTimeout(() => this.#partitioned(), this.link.commandTimeoutMs).unref()
    this.#events?.lost(reason)
    for (const watcher of this.#watchers) watcher.disconnected?.()
  }

  #partitioned(): void {
    this.#phase = 'partitioned'
    for (const watcher of this.#watchers) watcher.partitioned?.()
  }
}

/** The sorted set of living nodes. */
export function nodesKey(prefix: string): string {
  return `${prefix}nodes`
}

/** The largest recent count, at least 1. */
class RecentMaximum {
  #counts: readonly { readonly at: number; readonly count: number }[] = []

  get maximum(): number {
    return Math.max(1, ...this.#counts.map(({ count }) => count))
  }

  add(count: number, at: number, maxAgeMs: number): void {
    // A count is superseded by a later one that is as large.
    this.#counts = [...this.#counts.filter(old => old.at > at - maxAgeMs && old.count > count), { at, count }]
  }
}
