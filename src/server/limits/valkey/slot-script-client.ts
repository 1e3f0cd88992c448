/** Calls the slot script: commands become its keys and arguments, and its reply becomes one reply per command. */
import { nodesKey, type ClusterNode } from '../../cluster/cluster-node.ts'
import { ScriptBatch } from '../../cluster/script-batch.ts'
import { hashedKey } from '../../cluster/valkey-link.ts'
import type { TransferDirection } from '../limiter.ts'
import { SLOTS } from './slot-script.ts'

export interface SlotCommand {
  readonly kind: 'take' | 'renew' | 'requeue' | 'release' | 'count' | 'reported'
  /** `slotKey` of the client and direction. */
  readonly key: string
  /** Id of the hold. */
  readonly hold: string
  readonly cap: number
  readonly queue: number
  readonly arrival: string
}

export interface SlotReply {
  /** One of `REPLY`. */
  readonly code: number
  /** Waiting: the time of arrival. Refused: requests ahead. Count: slots held. */
  readonly value: string
}

export interface SlotScriptClientOptions {
  readonly node: ClusterNode
  /** Keeps the keys of several limiters apart. */
  readonly name: string
  /** Valkey has lost what it knew: it was flushed, or came back empty. */
  readonly onForgotten: () => void
  /** Holds of this node that were granted by a command of another request. */
  readonly onGranted: (holds: readonly string[]) => void
}

/** How Valkey's keys name a client and a direction. */
export function slotKey(clientId: string, direction: TransferDirection): string {
  return `${direction}:${hashedKey(clientId)}`
}

const KEYS_PER_CLIENT = ['held', 'waiting', 'cap']

export class SlotScriptClient {
  readonly #options: SlotScriptClientOptions
  readonly #prefix: string
  readonly #batch = new ScriptBatch<SlotCommand, SlotReply>({ send: commands => this.#send(commands) })
  #generation: string | null = null
  /** The server of the last reply. */
  #serverId = ''

  constructor(options: SlotScriptClientOptions) {
    this.#options = options
    this.#prefix = `${options.node.link.prefix}${options.name}:`
  }

  /** Commands of one client are run in the order of the calls. @throws unavailable */
  run(command: Partial<SlotCommand> & Pick<SlotCommand, 'kind'>): Promise<SlotReply> {
    return this.#batch.ask({ key: '', hold: '', cap: 0, queue: 0, arrival: '0', ...command })
  }

  idle(): Promise<void> {
    return this.#batch.idle()
  }

  async #send(commands: readonly SlotCommand[]): Promise<readonly SlotReply[]> {
    const { node } = this.#options
    const indexes = new Map<string, string>()
    const args: string[] = []
    for (const { kind, key, hold, cap, queue, arrival } of commands) {
      const index = key === '' ? '0' : (indexes.get(key) ?? String(indexes.size + 1))
      if (key !== '') indexes.set(key, index)
      args.push(kind, index, hold, String(cap), String(queue), arrival)
    }
    const prefix = this.#prefix
    const keys = [`${prefix}meta`, `${prefix}reported`, nodesKey(node.link.prefix)]
    for (const key of indexes.keys()) keys.push(...KEYS_PER_CLIENT.map(part => `${prefix}${part}:${key}`))
    const { serverId } = node.link
    const isOther = serverId === this.#serverId ? '' : 'other'
    const facts = [node.id, String(node.leaseTtlMs), String(node.nodes), `${prefix}wake:`, serverId, isOther]
    const reply = await node.link.run(SLOTS, keys, [...facts, ...args])
    this.#serverId = serverId
    return this.#read(reply)
  }

  #read(reply: unknown): readonly SlotReply[] {
    const [generation, , granted, flat] = reply as [string, number, string[], (number | string)[]]
    const replies: SlotReply[] = []
    for (let at = 0; at < flat.length; at += 2) replies.push({ code: Number(flat[at]), value: String(flat[at + 1]) })
    // Afterwards: a reply of the same call may be that the hold waits.
    if (granted.length > 0) queueMicrotask(() => this.#options.onGranted(granted))
    const isNew = this.#generation !== null && this.#generation !== generation
    this.#generation = generation
    if (isNew) this.#options.onForgotten()
    return replies
  }
}
