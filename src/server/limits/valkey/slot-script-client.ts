/** Speaks the slot script: turns asks about tickets into its keys and arguments, and its answers back. */
import { ScriptBatch } from '../../cluster/script-batch.ts'
import { nodesKey, type ClusterNode } from '../../cluster/cluster-node.ts'
import { SLOTS } from './slot-script.ts'

export type AskKind = 'take' | 'insist' | 'hold' | 'wait' | 'drop' | 'count' | 'tally' | 'keep' | 'emptied' | 'reported'

export interface Ask {
  readonly kind: AskKind
  readonly line: string
  readonly ticket: string
  readonly cap: number
  readonly queue: number
  readonly arrival: string
}

export interface Answer {
  readonly code: number
  /** In line: the time of arrival. Refused: how many are ahead. Counted: how many hold one. */
  readonly value: string
}

export interface SlotLedgerOptions {
  readonly node: ClusterNode
  /** Keeps the lines of several limiters apart. */
  readonly name: string
  /** Valkey does not know what was there before: it was flushed, or came back empty. */
  readonly onForgotten: () => void
  /** What was granted to tickets of this node in answer to somebody else's ask. */
  readonly onGranted: (tickets: readonly string[]) => void
}

const PARTS = ['held', 'line', 'cap', 'keepers']

export class SlotLedger {
  readonly #options: SlotLedgerOptions
  readonly #base: string
  readonly #batch = new ScriptBatch<Ask, Answer>({ send: asks => this.#send(asks) })
  #generation: string | null = null
  /** The last server that answered. */
  #serverId = ''

  constructor(options: SlotLedgerOptions) {
    this.#options = options
    this.#base = `${options.node.link.prefix}${options.name}:`
  }

  /** @throws unavailable */
  ask(ask: Partial<Ask> & Pick<Ask, 'kind'>): Promise<Answer> {
    return this.#batch.ask({ line: '', ticket: '', cap: 0, queue: 0, arrival: '0', ...ask })
  }

  idle(): Promise<void> {
    return this.#batch.idle()
  }

  /** Of which line is the key of its keepers, as messages name it. */
  lineOfKeepers(key: string): string {
    return key.slice(`${this.#base}keepers:`.length)
  }

  async #send(asks: readonly Ask[]): Promise<readonly Answer[]> {
    const { node } = this.#options
    const lines = new Map<string, string>()
    const args: string[] = []
    for (const { kind, line, ticket, cap, queue, arrival } of asks) {
      const index = line === '' ? '0' : (lines.get(line) ?? String(lines.size + 1))
      if (line !== '') lines.set(line, index)
      args.push(kind, index, ticket, String(cap), String(queue), arrival)
    }
    const base = this.#base
    const keys = [`${base}meta`, `${base}reported`, nodesKey(node.link.prefix)]
    for (const line of lines.keys()) keys.push(...PARTS.map(part => `${base}${part}:${line}`))
    const { serverId } = node.link
    const isOther = serverId === this.#serverId ? '' : 'other'
    const facts = [node.id, String(node.leaseTtlMs), String(node.nodes), `${base}wake:`, serverId, isOther]
    const reply = await node.link.run(SLOTS, keys, [...facts, ...args])
    this.#serverId = serverId
    return this.#read(reply)
  }

  #read(reply: unknown): readonly Answer[] {
    const [generation, , granted, flat] = reply as [string, number, string[], (number | string)[]]
    const answers: Answer[] = []
    for (let at = 0; at < flat.length; at += 2) answers.push({ code: Number(flat[at]), value: String(flat[at + 1]) })
    // Afterwards, since an answer may be that a ticket stands in line.
    if (granted.length > 0) queueMicrotask(() => this.#options.onGranted(granted))
    const isNew = this.#generation !== null && this.#generation !== generation
    this.#generation = generation
    if (isNew) this.#options.onForgotten()
    return answers
  }
}
