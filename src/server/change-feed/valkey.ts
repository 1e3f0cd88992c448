/**
 * Wakes listeners on all nodes. Every node subscribes to one channel; a message names the topics that changed, hashed
 * so that Valkey reveals no id.
 *
 * [Note: lost messages] A message may be lost when a connection breaks, or late when the server hangs. While it has
 * listeners, a node therefore sends a PING twelve times a second. Until the response comes, all its listeners are woken
 * every 200 ms to read the records; and once more when the response comes.
 */
import { createHash } from 'node:crypto'

import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { ChangeFeed, ChangeListener } from './change-feed.ts'
import { createMemoryChangeFeed, type LocalChangeFeed } from './memory.ts'

export interface ValkeyChangeFeedOptions {
  readonly node: ClusterNode
}

/** Resolves when it receives messages of the other nodes. The caller owns `node`, and disposes of it after the feed. */
export async function openValkeyChangeFeed({ node }: ValkeyChangeFeedOptions): Promise<ChangeFeed & Disposable> {
  const feed = new ValkeyChangeFeed(node)
  await node.link.subscribe('changes', message => feed.receive(message))
  return feed
}

const PING_MS = 80
/** Without a response, listeners are woken at every second ping: within 200 ms. */
const WAKE_EVERY_PINGS = 2
/** Most topics of a message, and retained while the link is down; beyond it, all listeners are woken. */
const MAX_TOPICS = 1000
const ALL_TOPICS = '*'

class ValkeyChangeFeed implements ChangeFeed, Disposable {
  readonly #node: ClusterNode
  readonly #local: LocalChangeFeed = createMemoryChangeFeed()
  readonly #timer: NodeJS.Timeout
  readonly #watch: Disposable
  readonly #unpublished = new Set<string>()
  #isPublishing = false
  /** Pings since the last response. */
  #pings = 0
  #isPinging = false

  constructor(node: ClusterNode) {
    this.#node = node
    this.#watch = node.watch({ joined: () => this.#rejoined() })
    this.#timer = setInterval(() => this.#tick(), PING_MS).unref()
  }

  announce(topic: string): void {
    const hashed = hashedTopic(topic)
    this.#local.announce(hashed)
    this.#retain(hashed)
    void this.#publishAll()
  }

  listen(topic: string): ChangeListener {
    return this.#local.listen(hashedTopic(topic))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#watch[Symbol.dispose]()
  }

  #retain(topic: string): void {
    if (this.#unpublished.has(ALL_TOPICS)) return
    const isTooMuch = topic === ALL_TOPICS || this.#unpublished.size >= MAX_TOPICS
    if (isTooMuch) this.#unpublished.clear()
    this.#unpublished.add(isTooMuch ? ALL_TOPICS : topic)
  }

  /** Topics announced while a message is in flight go out with the next one; those of a failed message are retained. */
  async #publishAll(): Promise<void> {
    if (this.#isPublishing) return
    this.#isPublishing = true
    // Collects the topics of this turn.
    await Promise.resolve()
    try {
      while (this.#unpublished.size > 0 && this.#node.link.isUp) await this.#publish()
    } finally {
      this.#isPublishing = false
    }
  }

  async #publish(): Promise<void> {
    const topics = [...this.#unpublished]
    this.#unpublished.clear()
    const message = [this.#node.id, ...topics].join(' ')
    try {
      await this.#node.link.send(['PUBLISH', `${this.#node.link.prefix}changes`, message])
    } catch {
      for (const topic of topics) this.#retain(topic)
    }
  }

  receive(message: string): void {
    const [from, ...topics] = message.split(' ')
    if (from === this.#node.id) return
    for (const topic of topics) {
      if (topic === ALL_TOPICS) this.#local.announceAll()
      else this.#local.announce(topic)
    }
  }

  #rejoined(): void {
    this.#local.announceAll()
    void this.#publishAll()
  }

  #tick(): void {
    if (!this.#local.hasListeners) {
      this.#pings = 0
      return
    }
    if (this.#pings % WAKE_EVERY_PINGS === 1) this.#local.announceAll()
    this.#pings += 1
    if (!this.#isPinging && this.#node.link.isUp) void this.#ping()
  }

  /** One connection delivers messages and responses in order: after a response, no earlier message is in flight. */
  async #ping(): Promise<void> {
    this.#isPinging = true
    try {
      await this.#node.link.send(['PING'])
      if (this.#pings > 1) this.#local.announceAll()
      this.#pings = 0
    } catch {
      // The link is down: listeners are woken until it is back.
    } finally {
      this.#isPinging = false
    }
  }
}

function hashedTopic(topic: string): string {
  return createHash('sha256').update(topic).digest('base64url').slice(0, 16)
}
