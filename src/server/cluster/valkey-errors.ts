/** What Valkey or the way to it answers when it fails, without anything that was sent: commands may carry the password. */
import { ErrorReply } from 'redis'

import { SealiftError } from '../../protocol/errors.ts'

/** The address alone: neither user nor password. */
export function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname}:${port === '' ? '6379' : port}${pathname.length > 1 ? pathname : ''}`
}

const ADVICE: Readonly<Record<string, string>> = {
  WRONGPASS: 'refuses the user or password; check limits.valkey.url',
  NOAUTH: 'needs a password; put it into limits.valkey.url',
  NOPERM:
    'does not allow the user of limits.valkey.url what Sealift needs (keys and channels under the prefix, scripts, pub/sub)',
  NOPROTO: 'is older than version 6; limits.valkey.url must name a newer one',
  READONLY: 'is a replica that cannot be written; limits.valkey.url must name the primary',
  MOVED: 'is a node of a cluster; limits.valkey.url must name a single primary',
  OOM: 'has no memory left',
  LOADING: 'is still starting',
  DENIED: 'is in protected mode',
  ECONNREFUSED: 'refuses connections; is it running, and is limits.valkey.url right?',
  ENOTFOUND: 'has a name that nobody knows; check limits.valkey.url',
}

/** @param address where it is, as `addressOf` tells it */
export function linkError(address: string, cause: unknown): SealiftError {
  const code = codeOf(cause)
  const problem = ADVICE[code] ?? `cannot be used (${code}); check limits.valkey.url`
  return new SealiftError('unavailable', `Valkey at ${address} ${problem}`, { context: { cause: code } })
}

/** The first word of what the server answered, or the system's code: never more, since a server may echo what it got. */
function codeOf(cause: unknown): string {
  // Before version 6 there was no such command.
  if (cause instanceof ErrorReply && /unknown command .HELLO/i.test(cause.message)) return 'NOPROTO'
  if (cause instanceof ErrorReply) return /^-?([A-Z]{2,20})\b/.exec(cause.message)?.[1] ?? 'ERR'
  if (!(cause instanceof Error)) return 'unknown'
  if ('code' in cause && typeof cause.code === 'string') return cause.code
  return cause.constructor.name
}

/** The script is not known there (any more): it restarted. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof ErrorReply && error.message.startsWith('NOSCRIPT')
}
