/** What runs under which credential, so that a revoked one ends it at once. */
import { createHash } from 'node:crypto'

import { SealiftError } from '../../protocol/errors.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig } from '../config/schema.ts'
import type { Credential } from './caller.ts'

export interface Sessions extends Disposable {
  /** Calls `revoked` (at most once) when `credential` is no longer taken. Dispose the result when the work ends. */
  watch(credential: Credential, revoked: (reason: SealiftError) => void): Disposable
  /** Ends what runs under credentials that another node no longer takes, by `sharedFingerprint`. */
  revoke(fingerprints: ReadonlySet<string>): void
  /** Credentials in use now. */
  readonly size: number
}

interface Running {
  readonly credential: Credential
  readonly watchers: Set<(reason: SealiftError) => void>
}

export function createSessions(live: LiveConfig): Sessions {
  const running = new Map<string, Running>()
  const check = async (entry: Running, config: ServerConfig) => {
    if (!(await stillHolds(entry.credential, config))) revoke(running, entry)
  }
  const subscription = live.subscribe(next => {
    for (const entry of running.values()) void check(entry, next)
  })
  return {
    get size() {
      return running.size
    },
    watch(credential, revoked) {
      const entry = entryFor(running, credential)
      // Wrapped, so that one function watching twice is two watchers.
      const own = (reason: SealiftError) => revoked(reason)
      entry.watchers.add(own)
      // The configuration may have changed between the taking of the credential and now.
      if (credential.takenBy !== live.current) void check(entry, live.current)
      return {
        [Symbol.dispose]() {
          entry.watchers.delete(own)
          if (entry.watchers.size === 0) forget(running, entry)
        },
      }
    },
    revoke(fingerprints) {
      for (const entry of running.values()) {
        if (fingerprints.has(sharedFingerprint(entry.credential.fingerprint))) revoke(running, entry)
      }
    },
    [Symbol.dispose]: () => subscription[Symbol.dispose](),
  }
}

/** A fingerprint as nodes tell it each other: of no use to whoever reads along. */
export function sharedFingerprint(fingerprint: string): string {
  return createHash('sha256').update(fingerprint).digest('base64url')
}

function entryFor(running: Map<string, Running>, credential: Credential): Running {
  const known = running.get(credential.fingerprint)
  if (known) return known
  const entry = { credential, watchers: new Set<(reason: SealiftError) => void>() }
  running.set(credential.fingerprint, entry)
  return entry
}

/** What cannot be verified is not believed. */
async function stillHolds(credential: Credential, config: ServerConfig): Promise<boolean> {
  try {
    return await credential.holdsIn(config)
  } catch {
    return false
  }
}

function revoke(running: Map<string, Running>, entry: Running): void {
  forget(running, entry)
  const reason = new SealiftError('unauthorized', 'This token is no longer valid')
  for (const watcher of entry.watchers) {
    entry.watchers.delete(watcher)
    watcher(reason)
  }
}

function forget(running: Map<string, Running>, entry: Running): void {
  const { fingerprint } = entry.credential
  if (running.get(fingerprint) === entry) running.delete(fingerprint)
}
