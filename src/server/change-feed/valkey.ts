/**
 * Wakes those who wait on any node. Each node hears one channel; a message names the topics that changed, shortened so
 * that whoever reads along learns no id.
 *
 * [Note: doubt] A message may get lost: published while a connection breaks, or held up in a server that stands still.
 * While somebody listens, a node therefore asks a dozen times a second whether it still hears, and as long as the answer
 * does not come, everyone here is woken every 200 ms and looks for themselves; once more when it hears again.
 */
import { createHash } from 'node:crypto'

import type { ClusterNode } from '../cluster/cluster-node.ts'
import type { ChangeFeed, ChangeListener } from './change-feed.ts'
import { createMemoryChangeFeed, type LocalChangeFeed } from './memory.ts'

export interface ValkeyChangeFeedOptions {
  readonly node: ClusterNode
}

/** Resolves when it hears the other nodes. The caller owns `node`, and disposes of it after the feed. */
export async function openValkeyChangeFeed({ node }: ValkeyChangeFeedOptions): Promise<ChangeFeed & Disposable> {
  const feed = new ValkeyChangeFeed(node)
  await node.link.hear('changes', message => feed.hear(message))
  return feed
}

const PULSE_MS = 80
/** Those who may not hear are woken at every second pulse: well within 200 ms. */
const WAKE_EVERY_PULSES = 2
/** Topics of one message, and of what is kept while there is no link; beyond it, everyone is woken. */
const MAX_TOPICS = 1000
const EVERYTHING = '*'

class ValkeyChangeFeed implements ChangeFeed, Disposable {
  readonly #node: ClusterNode
  readonly #local: LocalChangeFeed = createMemoryChangeFeed()
  readonly #timer: NodeJS.Timeout
  readonly #watch: Disposable
  readonly #toTell = new Set<string>()
  #isTelling = false
  /** Pulses since the last answer. */
  #unanswered = 0
  #isAsking = false

  constructor(node: ClusterNode) {
    this.#node = node
    this.#watch = node.watch({ joined: () => this.#catchUp() })
    this.#timer = setInterval(() => this.#pulse(), PULSE_MS).unref()
  }

  announce(topic: string): void {
    const name = shortened(topic)
    this.#local.announce(name)
    this.#remember(name)
    void this.#tell()
  }

  listen(topic: string): ChangeListener {
    return this.#local.listen(shortened(topic))
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#watch[Symbol.dispose]()
  }

  #remember(topic: string): void {
    if (this.#toTell.has(EVERYTHING)) return
    const isTooMuch = topic === EVERYTHING || this.#toTell.size >= MAX_TOPICS
    if (isTooMuch) this.#toTell.clear()
    this.#toTell.add(isTooMuch ? EVERYTHING : topic)
  }

  /** What is announced while a message is on its way goes with the next one; what could not be told is told later. */
  async #tell(): Promise<void> {
    if (this.#isTelling) return
    this.#isTelling = true
    // What changes in the same turn goes along.
    await Promise.resolve()
    try {
      while (this.#toTell.size > 0 && this.#node.link.isUp) await this.#publish()
    } finally {
      this.#isTelling = false
    }
  }

  async #publish(): Promise<void> {
    const topics = [...this.#toTell]
    this.#toTell.clear()
    const message = [this.#node.id, ...topics].join(' ')
    try {
      await this.#node.link.send(['PUBLISH', `${this.#node.link.prefix}changes`, message])
    } catch {
      for (const topic of topics) this.#remember(topic)
    }
  }

  hear(message: string): void {
    const [from, ...topics] = message.split(' ')
    if (from === this.#node.id) return
    for (const topic of topics) {
      if (topic === EVERYTHING) this.#local.announceAll()
      else this.#local.announce(topic)
    }
  }

  #catchUp(): void {
    this.#local.announceAll()
    void this.#tell()
  }

  #pulse(): void {
    if (!this.#local.isHeard) {
      this.#unanswered = 0
      return
    }
    if (this.#unanswered % WAKE_EVERY_PULSES === 1) this.#local.announceAll()
    this.#unanswered += 1
    if (!this.#isAsking && this.#node.link.isUp) void this.#ask()
  }

  /** Messages and answers come in order on one connection: after an answer nothing older is still to come. */
  async #ask(): Promise<void> {
    this.#isAsking = true
    try {
      await this.#node.link.send(['PING'])
      if (this.#unanswered > 1) this.#local.announceAll()
      this.#unanswered = 0
    } catch {
      // The link is down by now: those who listen go on being woken.
    } finally {
      this.#isAsking = false
    }
  }
}

function shortened(topic: string): string {
  return createHash('sha256').update(topic).digest('base64url').slice(0, 16)
}
