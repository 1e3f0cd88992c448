/** The credentials of running transfers, so that revoking one ends its transfers at once. */
import { createHash } from 'node:crypto'

import { SealiftError } from '../../protocol/errors.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import type { ClientCredential } from './caller.ts'

export interface Sessions extends Disposable {
  /**
   * Calls `revoked` (at most once) when `credential` is no longer accepted. Dispose the result when the work ends.
   */
  watch(credential: ClientCredential, revoked: (reason: SealiftError) => void): Disposable
  /** Ends what runs under credentials that another node no longer accepts, by `sharedFingerprint`. */
  revoke(fingerprints: ReadonlySet<string>): void
  /** Credentials in use now. */
  readonly size: number
}

interface Running {
  readonly credential: ClientCredential
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

/** The form in which nodes exchange fingerprints: hashed, so that Valkey reveals none. */
export function sharedFingerprint(fingerprint: string): string {
  return createHash('sha256').update(fingerprint).digest('base64url')
}

function entryFor(running: Map<string, Running>, credential: ClientCredential): Running {
  const known = running.get(credential.fingerprint)
  if (known) return known
  const entry = { credential, watchers: new Set<(reason: SealiftError) => void>() }
  running.set(credential.fingerprint, entry)
  return entry
}

/** A credential that cannot be verified is not accepted. */
async function stillHolds(credential: ClientCredential, config: ServerConfig): Promise<boolean> {
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
