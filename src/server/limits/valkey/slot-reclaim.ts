/**
 * How nodes release cached slots for each other (cached-slots.ts). A node publishes the key of a client. Every node
 * releases what it caches of that client, caches nothing of it for a second, and acknowledges. A node that does not
 * acknowledge counts as using its slots.
 */
import { BoundedMap } from '../../../common/bounded-map.ts'
import type { ClusterNode } from '../../cluster/cluster-node.ts'

/** How long no slot of a client is cached after a reclaim. */
const PAUSE_MS = 1000
/** Longest wait for acknowledgements. */
const TIMEOUT_MS = 250
/** Clients in a pause. Beyond it the oldest is forgotten. */
const MAX_CLIENTS = 10_000

export interface SlotReclaimOptions {
  readonly node: ClusterNode
  /** Name of the limiter. */
  readonly name: string
  /** Releases the cached slots of a client; resolves when Valkey has them. */
  readonly release: (key: string) => Promise<void>
}

interface RunningReclaim {
  readonly startedAtMs: number
  readonly done: Promise<void>
  isDone: boolean
}

export class SlotReclaim {
  readonly #options: SlotReclaimOptions
  readonly #channel: string
  /** Monotonic ms by key. */
  readonly #pausedUntil = new BoundedMap<string, number>(MAX_CLIENTS)
  /** Reclaims of this node by key. */
  readonly #reclaims = new BoundedMap<string, RunningReclaim>(MAX_CLIENTS)
  /** By number of the reclaim. */
  readonly #onAcknowledged = new Map<string, () => void>()
  #lastNumber = 0

  constructor(options: SlotReclaimOptions) {
    this.#options = options
    this.#channel = `${options.name}:reclaim`
  }

  async begin(): Promise<void> {
    const { link, id } = this.#options.node
    await Promise.all([
      link.subscribe(this.#channel, message => void this.#receive(message)),
      link.subscribe(`${this.#channel}:${id}`, number => this.#onAcknowledged.get(number)?.()),
    ])
  }

  isPaused(key: string, now: number): boolean {
    return now < (this.#pausedUntil.get(key) ?? 0)
  }

  /** @returns false when no other node can have cached a slot of this client */
  async reclaim(key: string): Promise<boolean> {
    const { node } = this.#options
    if (node.phase !== 'joined' || node.nodes === 1) return false
    const last = this.#reclaims.get(key)
    if (last && performance.now() - last.startedAtMs < PAUSE_MS) {
      if (last.isDone) return false
      await last.done
      return true
    }
    const reclaim = { startedAtMs: performance.now(), done: this.#publish(key), isDone: false }
    this.#reclaims.set(key, reclaim)
    await reclaim.done
    reclaim.isDone = true
    return true
  }

  /** Resolves when all other nodes have acknowledged, or after the timeout. */
  async #publish(key: string): Promise<void> {
    const { link, id } = this.#options.node
    const number = String((this.#lastNumber += 1))
    const { promise: done, resolve } = Promise.withResolvers<void>()
    let expected = Infinity
    let acknowledged = 0
    this.#onAcknowledged.set(number, () => {
      acknowledged += 1
      if (acknowledged >= expected) resolve()
    })
    const timer = setTimeout(resolve, TIMEOUT_MS)
    try {
      const receivers = await link.send(['PUBLISH', `${link.prefix}${this.#channel}`, `${id} ${number} ${key}`])
      // This node receives its own message, too.
      expected = Number(receivers) - 1
      if (acknowledged < expected) await done
    } catch {
      // The link broke: the request is decided without Valkey.
    } finally {
      clearTimeout(timer)
      this.#onAcknowledged.delete(number)
    }
  }

  async #receive(message: string): Promise<void> {
    const { node, release } = this.#options
    const [from = '', number = '', key = ''] = message.split(' ')
    this.#pausedUntil.set(key, performance.now() + PAUSE_MS)
    try {
      const released = release(key)
      if (from === node.id) return
      await released
      await node.link.send(['PUBLISH', `${node.link.prefix}${this.#channel}:${from}`, number])
    } catch {
      // The link broke: the slots expire.
    }
  }
}
