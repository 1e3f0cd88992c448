/**
 * What one node is told (a reload) reaches the others.
 *
 * Each node has a configuration file of its own, and what it starts with is in it. When a reload changes something on
 * one node, the others read their files again too, and take over the tiers of the one that was told, since limits that
 * differ from node to node are no limits. Tokens that were revoked there end what runs under them here. The last reload
 * wins; nothing of it outlives a restart.
 */
import { isDeepStrictEqual } from 'node:util'

import { sharedFingerprint, type Sessions } from '../access/sessions.ts'
import { ConfigError, type ConfigProblem } from '../config/config-error.ts'
import type { LiveConfigHolder } from '../config/live-config.ts'
import type { ServerConfig } from '../config/schema.ts'
import { readTiers, writeTiers } from '../config/write-config.ts'
import type { ClusterNode } from './cluster-node.ts'
import { LOOK, TELL } from './settings-scripts.ts'

export interface SharedSettingsOptions {
  readonly node: ClusterNode
  readonly live: LiveConfigHolder
  readonly sessions: Pick<Sessions, 'revoke'>
  /** Reads this node's own file again. Without it only tiers and revocations are taken over. */
  readonly reread?: () => Promise<ServerConfig>
  /** When (monotonic ms) this node's own file was read: what was told since then is news. Now when not told. */
  readonly readAtMs?: number
  readonly events?: {
    /** Another node was told something, and this one follows. */
    followed(): void
    /** What another node was told, or this node's own file, does not fit here: nothing has changed. */
    refused(problems: readonly ConfigProblem[]): void
  }
}

/**
 * Begins to follow the other nodes, and to tell them. The caller owns `node`, and disposes of it afterwards.
 * @throws unavailable
 */
export async function shareSettings(options: SharedSettingsOptions): Promise<Disposable> {
  const shared = new SharedSettings(options)
  await shared.begin()
  return shared
}

/** What other nodes are to be told. */
interface News {
  readonly tiers: boolean
  /** Fingerprints. */
  readonly revoked: ReadonlySet<string>
}

/** What other nodes have told since the last look. */
interface Told {
  readonly now: string
  /** Empty: they have not changed. */
  readonly tiers: string
  readonly revoked: readonly string[]
  readonly isTold: boolean
}

class SharedSettings implements Disposable {
  readonly #options: SharedSettingsOptions
  readonly #subscriptions: readonly Disposable[]
  /** The last look, by the server's clock: only what came after it is news. */
  #seenUntil = '0'
  #toTell: News | null = null
  #isFollowing = false
  #last: Promise<void> = Promise.resolve()

  constructor(options: SharedSettingsOptions) {
    this.#options = options
    const { node, live } = options
    this.#subscriptions = [
      live.subscribe((next, previous) => this.#changed(next, previous)),
      node.watch({ joined: () => this.#inTurn(() => this.#catchUp()) }),
    ]
  }

  /** What was told before this node read its file is old; what was told while it started is not. */
  async begin(): Promise<void> {
    const { node, readAtMs = performance.now() } = this.#options
    const { now } = await this.#read()
    this.#seenUntil = String(Math.floor(Number(now) - (performance.now() - readAtMs) * 1000))
    await node.link.hear('settings', from => {
      if (from !== node.id) this.#inTurn(() => this.#look())
    })
    this.#inTurn(async () => {
      const { isTold } = await this.#read()
      if (isTold) await this.#look()
    })
    await this.#last
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
  }

  #changed(next: ServerConfig, previous: ServerConfig): void {
    if (this.#isFollowing || isDeepStrictEqual(next, previous)) return
    this.#remember({
      tiers: !isDeepStrictEqual(next.tiers, previous.tiers),
      revoked: new Set(revokedTokens(next, previous)),
    })
    this.#inTurn(() => this.#tell())
  }

  /** Beside what is to be told already: more may have come while the last telling failed. */
  #remember({ tiers, revoked }: News): void {
    const { tiers: before = false, revoked: others = [] } = this.#toTell ?? {}
    this.#toTell = { tiers: tiers || before, revoked: new Set([...others, ...revoked]) }
  }

  async #catchUp(): Promise<void> {
    await this.#tell()
    await this.#look()
  }

  async #tell(): Promise<void> {
    const { node, live } = this.#options
    const news = this.#toTell
    if (news === null || node.phase !== 'joined') return
    this.#toTell = null
    const tiers = news.tiers ? writeTiers(live.current) : ''
    const channel = `${node.link.prefix}settings`
    try {
      await node.link.run(TELL, this.#keys(), [channel, node.id, tiers, ...news.revoked])
    } catch (error) {
      this.#remember(news)
      throw error
    }
  }

  async #look(): Promise<void> {
    const { now, tiers, revoked } = await this.#read()
    this.#seenUntil = now
    if (revoked.length > 0) this.#options.sessions.revoke(new Set(revoked))
    await this.#follow(tiers)
  }

  async #follow(tiers: string): Promise<void> {
    const { live, reread, events } = this.#options
    try {
      const own = reread ? await reread() : live.current
      const next = { ...own, tiers: tiers === '' ? live.current.tiers : readTiers(tiers) }
      this.#isFollowing = true
      live.apply(next)
      events?.followed()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      events?.refused(error.problems)
    } finally {
      this.#isFollowing = false
    }
  }

  async #read(): Promise<Told> {
    const { link } = this.#options.node
    const answer = await link.run(LOOK, this.#keys(), [this.#seenUntil])
    const [now, tiers, revoked, isTold] = answer as [string, string, string[], number]
    return { now, tiers, revoked, isTold: isTold === 1 }
  }

  #keys(): readonly string[] {
    const { prefix } = this.#options.node.link
    return [`${prefix}settings:tiers`, `${prefix}settings:revoked`]
  }

  /** One after the other; what fails because the link broke is done when it is back. */
  #inTurn(work: () => Promise<void>): void {
    this.#last = this.#last.then(work).catch(() => undefined)
  }
}

/** Tokens of the file that are gone from it, or mean somebody else now. */
function revokedTokens(next: ServerConfig, previous: ServerConfig): readonly string[] {
  const still = new Set(next.access.tokens.map(tokenFacts))
  return previous.access.tokens
    .filter(token => !still.has(tokenFacts(token)))
    .map(({ sha256 }) => sharedFingerprint(`token ${sha256}`))
}

function tokenFacts({ sha256, subject, device }: ServerConfig['access']['tokens'][number]): string {
  return JSON.stringify([sha256, subject, device ?? null])
}
