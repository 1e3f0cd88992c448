/**
 * This process as one of several that share limits: it says that it lives, and knows how many do.
 *
 * - `joined`: the link is up and this node is known there.
 * - `rejoining`: the link has just been lost. Mostly it is back in a moment (a restart, a failover): who can wait, waits.
 * - `alone`: it has been away for longer; each node keeps to its share.
 */
import { randomBytes } from 'node:crypto'

import { newId } from '../../protocol/ids.ts'
import type { SealiftError } from '../../protocol/errors.ts'
import { defineScript, openValkeyLink, type ValkeyLink, type ValkeyLinkOptions } from './valkey-link.ts'

export type Phase = 'joined' | 'rejoining' | 'alone'

export interface NodeWatcher {
  /** Known among the nodes (again), and so at the first time after the link was lost. */
  joined?(): void
  /** The link was lost just now. */
  lost?(): void
  /** It has been away for so long that this node goes on without. */
  alone?(): void
  /** It is time to renew what was taken. */
  beat?(): void
}

export interface ClusterNode extends AsyncDisposable {
  /** Never used again by any other process, nor by this one after a restart. */
  readonly id: string
  readonly link: ValkeyLink
  readonly phase: Phase
  /** Nodes that live, this one among them; the last known number while it is not joined. */
  readonly nodes: number
  /** What is not renewed for this long is given up. */
  readonly leaseTtlMs: number
  watch(watcher: NodeWatcher): Disposable
}

export interface ClusterNodeOptions extends ValkeyLinkOptions {
  /** 10000 when not told. */
  readonly leaseTtlMs?: number
  /** Told once when the link is lost, and once when it is back. */
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

/** The server's own clock decides who lives. */
const BEAT = defineScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2] * 2)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZCARD', KEYS[1])
`)

const BEATS_PER_LEASE = 3

class Node implements ClusterNode {
  readonly id = newId(byteCount => randomBytes(byteCount))
  readonly link: ValkeyLink
  readonly leaseTtlMs: number
  readonly #nodesKey: string
  readonly #hello: string
  readonly #watchers = new Set<NodeWatcher>()
  readonly #counts = new RecentMost()
  readonly #events: ClusterNodeOptions['events']
  readonly #timer: NodeJS.Timeout
  #phase: Phase = 'rejoining'
  #aloneTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor(link: ValkeyLink, { leaseTtlMs = 10_000, events }: ClusterNodeOptions) {
    this.link = link
    this.leaseTtlMs = leaseTtlMs
    this.#events = events
    this.#nodesKey = nodesKey(link.prefix)
    this.#hello = `${link.prefix}hello`
    link.watch({ up: () => void this.join().catch(() => undefined), down: reason => this.#lost(reason) })
    this.#timer = setInterval(() => this.#beat(), leaseTtlMs / BEATS_PER_LEASE).unref()
  }

  get phase(): Phase {
    return this.#phase
  }

  get nodes(): number {
    return this.#counts.most
  }

  watch(watcher: NodeWatcher): Disposable {
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }

  async listen(): Promise<void> {
    await this.link.hear('hello', from => {
      if (from !== this.id) this.#count().catch(() => undefined)
    })
  }

  async join(): Promise<void> {
    await this.#count()
    if (this.#closed || this.#phase === 'joined') return
    clearTimeout(this.#aloneTimer)
    const isBack = this.#phase === 'alone' || this.#aloneTimer !== undefined
    this.#aloneTimer = undefined
    this.#phase = 'joined'
    // The others count it at once, not at their next beat.
    this.link.send(['PUBLISH', this.#hello, this.id]).catch(() => undefined)
    if (isBack) this.#events?.back()
    for (const watcher of this.#watchers) watcher.joined?.()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    clearTimeout(this.#aloneTimer)
    this.#watchers.clear()
    if (this.link.isUp) await this.link.send(['ZREM', this.#nodesKey, this.id]).catch(() => undefined)
    await this.link[Symbol.asyncDispose]()
  }

  #beat(): void {
    if (this.#phase !== 'joined') return
    this.#count().catch(() => undefined)
    for (const watcher of this.#watchers) watcher.beat?.()
  }

  async #count(): Promise<void> {
    const answer = await this.link.run(BEAT, [this.#nodesKey], [this.id, String(this.leaseTtlMs)])
    // One that misses may be away for a moment only, with all it holds.
    this.#counts.note(Number(answer), performance.now(), 2 * this.leaseTtlMs)
  }

  #lost(reason: SealiftError): void {
    // A connection on which it never joined was no return: it goes on as it was, and there is nothing to tell.
    if (this.#closed || this.#phase !== 'joined') return
    this.#phase = 'rejoining'
    this.#aloneTimer = setTimeout(() => this.#goOnAlone(), this.link.commandTimeoutMs).unref()
    this.#events?.lost(reason)
    for (const watcher of this.#watchers) watcher.lost?.()
  }

  #goOnAlone(): void {
    this.#phase = 'alone'
    for (const watcher of this.#watchers) watcher.alone?.()
  }
}

/** Where the nodes that live are listed. */
export function nodesKey(prefix: string): string {
  return `${prefix}nodes`
}

/** The largest of the last counts, at least 1. */
class RecentMost {
  #counts: readonly { readonly at: number; readonly count: number }[] = []

  get most(): number {
    return Math.max(1, ...this.#counts.map(({ count }) => count))
  }

  note(count: number, at: number, keepMs: number): void {
    // Of equal counts the latest is enough.
    this.#counts = [...this.#counts.filter(old => old.at > at - keepMs && old.count > count), { at, count }]
  }
}
