/**
 * Settings sync: a reload on one node reaches the other nodes.
 *
 * Each node starts from its own configuration file. When a reload changes the configuration of one node, the others
 * read their files again and apply the tiers of that node, since limits must not differ between nodes. Work under
 * tokens that the reload revoked ends on every node. The last reload wins; a restart reads the file alone.
 */
import { isDeepStrictEqual } from 'node:util'

import { sharedFingerprint, type Sessions } from '../../access/sessions.ts'
import { ConfigError, type ConfigProblem } from '../../config/config-error.ts'
import type { LiveConfigHolder } from '../../config/live-config.ts'
import type { ServerConfig } from '../../config/config-schema.ts'
import type { ClusterNode } from '../cluster-node.ts'
import { publishSettings, readSettings, readTiers, SETTINGS_CHANNEL } from './settings-store.ts'

export interface SettingsSyncOptions {
  readonly node: ClusterNode
  readonly live: LiveConfigHolder
  readonly sessions: Pick<Sessions, 'revoke'>
  /** Reads this node's own file again. Without it only tiers and revocations are applied. */
  readonly reread?: (() => Promise<ServerConfig>) | undefined
  /** When (monotonic ms) this node's own file was read: later changes of other nodes apply. Default: now. */
  readonly readAtMs?: number
  readonly events?: {
    /** This node has applied the settings of another node. */
    configReloaded(keys: { readonly changed: readonly string[]; readonly needRestart: readonly string[] }): void
    /** The settings of another node, or this node's own file, are not valid here: nothing has changed. */
    configRefused(problems: readonly ConfigProblem[]): void
  }
}

/** The caller owns `node`, and disposes of it after the result. @throws unavailable */
export async function syncSettings(options: SettingsSyncOptions): Promise<Disposable> {
  const sync = new SettingsSync(options)
  await sync.begin()
  return sync
}

interface UnpublishedChange {
  readonly tiers: boolean
  readonly revoked: ReadonlySet<string>
}

class SettingsSync implements Disposable {
  readonly #options: SettingsSyncOptions
  readonly #subscriptions: readonly Disposable[]
  /** Time of the last read, by the server's clock. */
  #since = '0'
  #unpublished: UnpublishedChange | null = null
  #isApplying = false
  #lastTask: Promise<void> = Promise.resolve()

  constructor(options: SettingsSyncOptions) {
    this.#options = options
    const { node, live } = options
    this.#subscriptions = [
      live.subscribe((next, previous) => this.#changed(next, previous)),
      node.watch({
        joined: () =>
          this.#enqueue(async () => {
            await this.#publish()
            await this.#follow()
          }),
      }),
    ]
  }

  /** Changes from before this node read its file are in the file; changes made while it started are not. */
  async begin(): Promise<void> {
    const { node, readAtMs = performance.now() } = this.#options
    const { now } = await readSettings(node.link, this.#since)
    this.#since = String(Math.floor(Number(now) - (performance.now() - readAtMs) * 1000))
    await node.link.subscribe(SETTINGS_CHANNEL, from => {
      if (from !== node.id) this.#enqueue(() => this.#follow())
    })
    this.#enqueue(async () => {
      const { hasChanged } = await readSettings(node.link, this.#since)
      if (hasChanged) await this.#follow()
    })
    await this.#lastTask
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]()
  }

  #changed(next: ServerConfig, previous: ServerConfig): void {
    if (this.#isApplying || isDeepStrictEqual(next, previous)) return
    this.#addUnpublished({
      tiers: !isDeepStrictEqual(next.tiers, previous.tiers),
      revoked: new Set(revokedTokens(next, previous)),
    })
    this.#enqueue(() => this.#publish())
  }

  /** Merges with what is unpublished already, for example because the last publish failed. */
  #addUnpublished({ tiers, revoked }: UnpublishedChange): void {
    const { tiers: before = false, revoked: others = [] } = this.#unpublished ?? {}
    this.#unpublished = { tiers: tiers || before, revoked: new Set([...others, ...revoked]) }
  }

  async #publish(): Promise<void> {
    const { node, live } = this.#options
    const change = this.#unpublished
    if (change === null || node.phase !== 'joined') return
    this.#unpublished = null
    try {
      const tiers = change.tiers ? live.current.tiers : null
      await publishSettings(node.link, node.id, { tiers, revoked: change.revoked })
    } catch (error) {
      this.#addUnpublished(change)
      throw error
    }
  }

  async #follow(): Promise<void> {
    const { node, sessions } = this.#options
    const { now, tiers, revoked } = await readSettings(node.link, this.#since)
    this.#since = now
    if (revoked.length > 0) sessions.revoke(new Set(revoked))
    await this.#apply(tiers)
  }

  async #apply(tiers: string): Promise<void> {
    const { live, reread, events } = this.#options
    try {
      const own = reread ? await reread() : live.current
      const next = { ...own, tiers: tiers === '' ? live.current.tiers : readTiers(tiers) }
      this.#isApplying = true
      live.apply(next)
      events?.configReloaded({ changed: ['(by another node)'], needRestart: [] })
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      events?.configRefused(error.problems)
    } finally {
      this.#isApplying = false
    }
  }

  /** Runs one task at a time. A task that fails because the link broke is repeated when the node has joined again. */
  #enqueue(task: () => Promise<void>): void {
    this.#lastTask = this.#lastTask.then(task).catch(() => undefined)
  }
}

/** Tokens that the file no longer holds, or that belong to another subject or device now. */
function revokedTokens(next: ServerConfig, previous: ServerConfig): readonly string[] {
  const current = new Set(next.access.tokens.map(tokenIdentity))
  return previous.access.tokens
    .filter(token => !current.has(tokenIdentity(token)))
    .map(({ sha256 }) => sharedFingerprint(`token ${sha256}`))
}

function tokenIdentity({ sha256, subject, device }: ServerConfig['access']['tokens'][number]): string {
  return JSON.stringify([sha256, subject, device ?? null])
}
