/**
 * The one connection of a process to Valkey (or Redis from version 6 on): scripts, messages, subscriptions.
 *
 * Every call has a timeout, and no call waits for a connection: without one a call fails at once, and the caller does
 * without Valkey. A call that times out or gets an error ends the connection: other calls in flight would time out as
 * well, and a late response must not count. The link then reconnects until it is disposed.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { raceTimeout } from '../../common/abort-race.ts'
import { SealiftError } from '../../protocol/errors.ts'
import {
  addressOf,
  isUnknownScript,
  linkError,
  openSession,
  type Session,
  ValkeyTimeoutError,
} from './valkey-session.ts'

export interface ValkeyLinkOptions {
  /** `redis://` or `rediss://` (or `valkey://`, `valkeys://`), with user and password if there are any. */
  readonly url: string
  /** Begins every key and channel. */
  readonly prefix: string
  /** Longest wait for a response. Default 1000. */
  readonly commandTimeoutMs?: number
  /** Longest wait for a connection that works. Default 5000. */
  readonly connectTimeoutMs?: number
}

/** A script, called by its hash. User input goes into keys and arguments only. */
export interface Script {
  readonly source: string
  readonly sha1: string
}

export function defineScript(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

export interface LinkWatcher {
  up?(): void
  /** Called once until the link is up again. */
  down?(reason: SealiftError): void
}

export interface ValkeyLink extends AsyncDisposable {
  readonly isUp: boolean
  /** `run_id` of the server; empty without a connection, or when INFO is not allowed. */
  readonly serverId: string
  readonly prefix: string
  readonly commandTimeoutMs: number
  /** Runs a script. @throws unavailable */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** Runs one command. @throws unavailable */
  send(args: readonly string[]): Promise<unknown>
  /** Receives messages of `prefix + channel`: from when this resolves, and on every later connection. */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  watch(watcher: LinkWatcher): Disposable
}

/**
 * Resolves when the link is up.
 * @throws unavailable when Valkey cannot be used: the message names the setting, and never a password
 */
export async function openValkeyLink(options: ValkeyLinkOptions): Promise<ValkeyLink> {
  const link = new Link(options)
  await link.open()
  return link
}

const RETRY_FIRST_MS = 50
/** The longest pause. A connection that lasted longer resets the pause. */
const RETRY_MOST_MS = 1000

/** Valkey's keys and channels hold hashes, so that they reveal no client id or IP address. */
export function hashedKey(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}

class Link implements ValkeyLink {
  readonly prefix: string
  readonly commandTimeoutMs: number
  readonly #url: string
  readonly #address: string
  readonly #connectTimeoutMs: number
  readonly #listeners = new Map<string, (message: string) => void>()
  readonly #watchers = new Set<LinkWatcher>()
  readonly #closing = new AbortController()
  #session: Session | null = null
  #upSinceMs = 0
  #retryMs = RETRY_FIRST_MS

  constructor({ url, prefix, commandTimeoutMs = 1000, connectTimeoutMs = 5000 }: ValkeyLinkOptions) {
    this.#url = url.replace(/^valkey(s?):/, 'redis$1:')
    this.#address = addressOf(this.#url)
    this.prefix = prefix
    this.commandTimeoutMs = commandTimeoutMs
    this.#connectTimeoutMs = connectTimeoutMs
  }

  get isUp(): boolean {
    return this.#session !== null
  }

  get serverId(): string {
    return this.#session?.serverId ?? ''
  }

  async open(): Promise<void> {
    this.#use(await this.#connect())
  }

  async run({ source, sha1 }: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    const session = this.#current()
    try {
      return await this.#within(session, session.send(['EVALSHA', sha1, ...rest]), isUnknownScript)
    } catch (error) {
      if (!isUnknownScript(error)) throw error
      return this.#within(session, session.send(['EVAL', source, ...rest]))
    }
  }

  async send(args: readonly string[]): Promise<unknown> {
    const session = this.#current()
    return this.#within(session, session.send(args))
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    this.#listeners.set(this.prefix + channel, listener)
    if (this.#session) await this.#subscribe(this.#session, this.prefix + channel, listener)
  }

  watch(watcher: LinkWatcher): Disposable {
    this.#watchers.add(watcher)
    return { [Symbol.dispose]: () => void this.#watchers.delete(watcher) }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#watchers.clear()
    this.#closing.abort()
    this.#session?.end()
    this.#session = null
    return Promise.resolve()
  }

  /** A failure breaks the link; the next connection subscribes again. */
  async #subscribe(session: Session, channel: string, listener: (message: string) => void): Promise<void> {
    await this.#within(session, session.subscribe(channel, listener)).catch(() => undefined)
  }

  #current(): Session {
    if (this.#session) return this.#session
    throw new SealiftError('unavailable', `There is no connection to Valkey at ${this.#address}`)
  }

  /** Awaits a response until the timeout; a failure ends the connection unless it is `expected`. */
  async #within<T>(session: Session, response: Promise<T>, expected: (error: unknown) => boolean = () => false) {
    try {
      return await raceTimeout(response, this.commandTimeoutMs, () => new ValkeyTimeoutError())
    } catch (error) {
      if (expected(error)) throw error
      const reason = linkError(this.#address, error)
      this.#lose(session, reason)
      throw reason
    }
  }

  async #connect(): Promise<Session> {
    try {
      const session = await openSession({
        url: this.#url,
        timeoutMs: this.#connectTimeoutMs,
        listeners: this.#listeners,
        probeKey: `${this.prefix}probe`,
        onEnd: (session, error) => this.#lose(session, linkError(this.#address, error)),
      })
      // The connection may break in the turn in which it becomes ready.
      if (!session.isOpen) throw new ValkeyTimeoutError()
      return session
    } catch (error) {
      throw linkError(this.#address, error)
    }
  }

  #use(session: Session): void {
    if (this.#closing.signal.aborted) return session.end()
    this.#session = session
    this.#upSinceMs = performance.now()
    // Channels that were subscribed to while the connection was being opened.
    for (const [channel, listener] of this.#listeners)
      if (!session.isSubscribed(channel)) void this.#subscribe(session, channel, listener)
    for (const watcher of this.#watchers) watcher.up?.()
  }

  #lose(session: Session, reason: SealiftError): void {
    if (this.#session !== session) return
    this.#session = null
    session.end()
    // A connection that breaks soon after it opens keeps the growing pause.
    if (performance.now() - this.#upSinceMs > RETRY_MOST_MS) this.#retryMs = RETRY_FIRST_MS
    for (const watcher of this.#watchers) watcher.down?.(reason)
    void this.#reconnect()
  }

  async #reconnect(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      const waitMs = this.#retryMs
      this.#retryMs = Math.min(RETRY_MOST_MS, waitMs * 2)
      try {
        // Jitter, so that nodes do not reconnect all at once.
        await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false })
        return this.#use(await this.#connect())
      } catch {
        // Watchers know that the link is down; the loop retries.
      }
    }
  }
}
