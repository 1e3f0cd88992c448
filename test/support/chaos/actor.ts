/** One parallel sender and reader: its calls go to either node, are logged, and their answers are judged. */
import type { Random } from '../random.ts'
import { type ChaosCluster, tokenOf } from './cluster.ts'
import type { ChaosFacts, Creation } from './facts.ts'
import type { ChaosHistory } from './history.ts'
import { callHttp, type HttpAnswer, type HttpCall, LostCall } from './http-call.ts'

/** What every call may be answered with while things fail: nothing was done, or not by half, and it may be repeated. */
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

/** A call during the faults; afterwards every call must be answered, however busy this machine is. */
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
  /** Codes, besides those that pass, that would be right: asked when the answer is there. */
  readonly allows?: (code: string) => boolean
  /** Either, when absent. */
  readonly node?: number
}

export interface Told extends HttpAnswer {
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

  /** @returns `null` when no answer came: what was asked may have happened */
  async ask(asked: Asked): Promise<Told | null> {
    const node = asked.node ?? this.aNode()
    const url = this.cluster.nodes[node]?.url ?? null
    const from = this.history.now()
    const answer = url === null ? 'down' : await this.#call(url, asked)
    const took = `(${(this.history.now() - from).toFixed(0)} ms from ${from.toFixed(0)})`
    const line = `${this.name} node ${node} ${asked.what} ->`
    if (answer === 'down' || answer instanceof LostCall) {
      this.history.note(`${line} ${answer === 'down' ? answer : answer.message} ${took}`)
      return null
    }
    const told = { ...answer, code: codeOf(answer), node }
    this.history.note(
      `${line} ${told.status} ${told.code ?? ''}${told.whole ? '' : ` cut after ${told.body.length}`} ${took}`,
    )
    this.history.count('answers')
    this.#judge(asked, told)
    return told
  }

  /** Any node that is not down, as a load balancer would choose it; it may be gone by the time of the call. */
  aNode(): number {
    const up = this.cluster.nodes.flatMap((node, index) => (node.url === null ? [] : [index]))
    return up.length === 0 ? 0 : this.random.pick(up)
  }

  /** A POST that makes something; stays open until it is known what it made. @returns whether it made it */
  async create(creation: Creation): Promise<boolean> {
    const { facts } = this
    facts.open.add(creation)
    const told = await this.ask({
      method: 'POST',
      path: creation.path,
      what: `POST ${creation.path} ${creation.key}`,
      headers: { ...creation.headers, 'idempotency-key': creation.key },
      body: creation.body(),
      allows: code => creation.refusedRightly(code),
    })
    if (told === null || !told.whole) return false
    if (told.code === null) {
      // Another try of the same may have been answered first; what it made is noted once.
      if (facts.open.delete(creation)) creation.made(JSON.parse(told.body.toString()))
      return true
    }
    if (told.code === 'quota_exceeded' || creation.refusedRightly(told.code)) facts.open.delete(creation)
    return false
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
    this.history.violate(`${this.name} ${what} at node ${node} was answered with ${status} ${code}: ${detail}`)
  }
}

function codeOf({ status, body, whole }: HttpAnswer): string | null {
  if (status < 400) return null
  if (!whole) return 'unavailable'
  try {
    return (JSON.parse(body.toString()) as { code?: string }).code ?? `status_${status}`
  } catch {
    return `status_${status}`
  }
}
