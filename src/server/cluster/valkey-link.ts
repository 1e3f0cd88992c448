/**
 * The one connection of a process to Valkey (or Redis from version 6 on): scripts, messages, subscriptions.
 *
 * No call without a deadline, and nothing waits for a connection: while there is none, a call fails at once, and the
 * caller does without. A call that is late, or answered with an error, ends the connection: what else is on its way
 * would be late as well, and an answer that comes after its deadline must not be taken for one. A new connection is
 * then made until it is closed for good.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'

import { raceTimeout } from '../../common/abort-race.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { addressOf, isUnknownScript, linkError } from './valkey-errors.ts'
import { openSession, type Session } from './valkey-session.ts'

export interface ValkeyLinkOptions {
  /** `redis://` or `rediss://` (or `valkey://`, `valkeys://`), with user and password if there are any. */
  readonly url: string
  /** What every key and channel begins with. */
  readonly prefix: string
  /** Longest wait for an answer. 1000 when not told. */
  readonly commandTimeoutMs?: number
  /** Longest wait for a connection that works. 5000 when not told. */
  readonly connectTimeoutMs?: number
}

/** A script, known to the server by its hash. Text of users goes into keys and arguments only. */
export interface Script {
  readonly source: string
  readonly sha1: string
}

export function defineScript(source: string): Script {
  return { source, sha1: createHash('sha1').update(source).digest('hex') }
}

export interface LinkWatcher {
  up?(): void
  /** Told once until it is up again. */
  down?(reason: SealiftError): void
}

export interface ValkeyLink extends AsyncDisposable {
  readonly isUp: boolean
  /** Of the process at the other end; empty when there is none, or it does not tell. */
  readonly serverId: string
  readonly prefix: string
  readonly commandTimeoutMs: number
  /** Runs a script. @throws unavailable */
  run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown>
  /** Runs one command. @throws unavailable */
  send(args: readonly string[]): Promise<unknown>
  /** Hears what is published on `prefix + channel`: from when this resolves, and on every later connection. */
  hear(channel: string, listener: (message: string) => void): Promise<void>
  watch(watcher: LinkWatcher): Disposable
}

/**
 * Resolves when the link is up.
 * @throws unavailable when it cannot be had: the message names the setting, and never a password
 */
export async function openValkeyLink(options: ValkeyLinkOptions): Promise<ValkeyLink> {
  const link = new Link(options)
  await link.open()
  return link
}

/** The longest is also how long a connection must have lasted for the next one to be made at once. */
const RETRY_FIRST_MS = 50
const RETRY_MOST_MS = 1000

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

  async hear(channel: string, listener: (message: string) => void): Promise<void> {
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

  /** What breaks the link is told to those who watch it; the next connection hears. */
  async #subscribe(session: Session, channel: string, listener: (message: string) => void): Promise<void> {
    await this.#within(session, session.subscribe(channel, listener)).catch(() => undefined)
  }

  #current(): Session {
    if (this.#session) return this.#session
    throw new SealiftError('unavailable', `There is no connection to Valkey at ${this.#address}`)
  }

  /** The answer, if it comes in time; a failure ends the connection unless it is `expected`. */
  async #within<T>(session: Session, answer: Promise<T>, expected: (error: unknown) => boolean = () => false) {
    try {
      return await raceTimeout(answer, this.commandTimeoutMs, () => new TimeoutError())
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
      // It may have broken in the turn in which it was ready.
      if (!session.isOpen) throw new TimeoutError()
      return session
    } catch (error) {
      throw linkError(this.#address, error)
    }
  }

  #use(session: Session): void {
    if (this.#closing.signal.aborted) return session.end()
    this.#session = session
    this.#upSinceMs = performance.now()
    // Somebody may have begun to listen while it was being made.
    for (const [channel, listener] of this.#listeners)
      if (!session.hears(channel)) void this.#subscribe(session, channel, listener)
    for (const watcher of this.#watchers) watcher.up?.()
  }

  #lose(session: Session, reason: SealiftError): void {
    if (this.#session !== session) return
    this.#session = null
    session.end()
    // One that breaks as soon as it is used is not made again and again without a pause.
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
        // Not all nodes at the same moment.
        await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal, ref: false })
        return this.#use(await this.#connect())
      } catch {
        // The next try tells; that it is down has been told.
      }
    }
  }
}

class TimeoutError extends Error {
  readonly code = 'no answer in time'
}
