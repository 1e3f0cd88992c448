/** One parallel sender and reader: its calls go to either node, are logged, and their responses are judged. */
import type { Random } from '../random.ts'
import { type ChaosCluster, tokenOf } from './cluster.ts'
import type { ChaosFacts, Creation } from './facts.ts'
import type { ChaosHistory } from './history.ts'
import { callHttp, type HttpReply, type HttpCall, LostCall } from './http-call.ts'

/** What every call may return during faults: nothing was done, or not by half, and it may be repeated. */
const PASSING = new Set([
  'unavailable',
  'shutting_down',
  'stalled',
  'rate_limited',
  'too_many_uploads',
  'too_many_downloads',
  'too_many_pending',
  'quota_exceeded',
])

/** A call during the faults; afterwards every call must get a response, however busy this machine is. */
const CALL_MS = 4000
const QUIET_CALL_MS = 30_000

export interface ActorOptions {
  readonly name: string
  readonly client: number
  readonly cluster: ChaosCluster
  readonly facts: ChaosFacts
  readonly history: ChaosHistory
  readonly random: Random
}

export type Asked = Partial<Omit<HttpCall, 'url' | 'method'>> & {
  readonly method: string
  readonly path: string
  /** What the log calls it. */
  readonly what: string
  /** Codes, besides those that pass, that would be right: asked when the response is there. */
  readonly allows?: (code: string) => boolean
  /** Either, when absent. */
  readonly node?: number
}

export interface Told extends HttpReply {
  /** The code of a problem; `null` when the call succeeded. */
  readonly code: string | null
  readonly node: number
}

export class Actor {
  readonly name: string
  readonly client: number
  readonly cluster: ChaosCluster
  readonly facts: ChaosFacts
  readonly history: ChaosHistory
  readonly random: Random
  /** No fault is at work any more. */
  isQuiet = false

  constructor({ name, client, cluster, facts, history, random }: ActorOptions) {
    this.name = name
    this.client = client
    this.cluster = cluster
    this.facts = facts
    this.history = history
    this.random = random
  }

  /** @returns `null` when no response came: what was asked may have happened */
  async ask(asked: Asked): Promise<Told | null> {
    const node = asked.node ?? this.aNode()
    const url = this.cluster.nodes[node]?.url ?? null
    const from = this.history.now()
    const response = url === null ? 'down' : await this.#call(url, asked)
    const took = `(${(this.history.now() - from).toFixed(0)} ms from ${from.toFixed(0)})`
    const line = `${this.name} node ${node} ${asked.what} ->`
    if (response === 'down' || response instanceof LostCall) {
      this.history.note(`${line} ${response === 'down' ? response : response.message} ${took}`)
      return null
    }
    const told = { ...response, code: codeOf(response), node }
    this.history.note(
      `${line} ${told.status} ${told.code ?? ''}${told.whole ? '' : ` cut after ${told.body.length}`} ${took}`,
    )
    this.history.count('responses')
    this.#judge(asked, told)
    return told
  }

  /** Any node that is not down, as a load balancer would choose it; it may be gone by the time of the call. */
  aNode(): number {
    const up = this.cluster.nodes.flatMap((node, index) => (node.url === null ? [] : [index]))
    return up.length === 0 ? 0 : this.random.pick(up)
  }

  /**
   * A POST that makes something; stays open until it is known what it made. Sometimes the sender gives up before the
   * response, and sometimes the same comes twice at once: that is what the key is for.
   */
  async create(creation: Creation): Promise<void> {
    const { random, facts } = this
    facts.open.add(creation)
    const isTwice = random.chance(0.1)
    const leaves = random.chance(0.15) && !this.isQuiet
    const tries = Array.from({ length: isTwice ? 2 : 1 }, () => this.#tryToCreate(creation, { isTwice, leaves }))
    await Promise.all(tries)
  }

  async #tryToCreate(creation: Creation, { isTwice, leaves }: { readonly isTwice: boolean; readonly leaves: boolean }) {
    const told = await this.ask({
      method: 'POST',
      path: creation.path,
      what: `POST ${creation.path} ${creation.key}`,
      headers: { ...creation.headers, 'idempotency-key': creation.key },
      body: creation.body(),
      // Of two that come at once, the later one ends the earlier one.
      allows: code => creation.refusedRightly(code) || (isTwice && code === 'gone'),
      ...(leaves ? { signal: AbortSignal.timeout(1 + this.random.int(60)) } : {}),
    })
    if (told === null || !told.whole) return
    if (told.code === null) this.#noteMade(creation, told.body.toString())
    else if (told.code === 'quota_exceeded' || creation.refusedRightly(told.code)) this.facts.open.delete(creation)
  }

  /** Whatever a key has made once, it makes for as long as that is not given up. */
  #noteMade(creation: Creation, response: string): void {
    const { facts, history } = this
    const json = JSON.parse(response) as { mediaId?: string; parcelId?: string }
    const id = json.mediaId ?? json.parcelId ?? ''
    const first = facts.made.get(creation.key)
    facts.open.delete(creation)
    if (first === id) return
    if (first !== undefined && !facts.isGivenUp(first)) history.violate(`${creation.key} made ${first}, and then ${id}`)
    facts.made.set(creation.key, id)
    creation.made(json)
  }

  async #call(url: string, { path, headers = {}, body = null, slowlyMs = null, signal, ...rest }: Asked) {
    const call = {
      ...rest,
      url: `${url}${path}`,
      headers: { authorization: `Bearer ${tokenOf(this.client)}`, ...headers },
      body,
      slowlyMs,
      signal: AbortSignal.any([
        AbortSignal.timeout(this.isQuiet ? QUIET_CALL_MS : CALL_MS),
        ...(signal ? [signal] : []),
      ]),
    }
    try {
      return await callHttp(call)
    } catch (error) {
      if (error instanceof LostCall) return error
      throw error
    }
  }

  #judge({ what, allows }: Asked, { code, status, body, whole, node }: Told): void {
    if (code === null || PASSING.has(code) || (allows?.(code) ?? false)) return
    const detail = whole ? body.toString().slice(0, 400) : ''
    this.history.violate(`${this.name} ${what} at node ${node} gets a response with ${status} ${code}: ${detail}`)
  }
}

function codeOf({ status, body, whole }: HttpReply): string | null {
  if (status < 400) return null
  if (!whole) return 'unavailable'
  try {
    return (JSON.parse(body.toString()) as { code?: string }).code ?? `status_${status}`
  } catch {
    return `status_${status}`
  }
}
