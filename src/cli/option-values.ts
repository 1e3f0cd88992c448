/** Reads the values of options. What is wrong is a usage error, told before anything is done. */
import { isIPv6 } from 'node:net'

import { InvalidArgumentError } from 'commander'

import { parseDuration } from '../protocol/units.ts'

const LONGEST_TTL_SECONDS = 10 * 366 * 86_400

/** Seconds for `90s`, `12h`, `7d`, `4w`. */
export function ttlSecondsOf(text: string): number {
  const ms = /[a-z]$/i.test(text.trim()) ? parseDuration(text) : null
  const seconds = ms === null ? 0 : Math.floor(ms / 1000)
  if (seconds >= 1 && seconds <= LONGEST_TTL_SECONDS) return seconds
  throw new InvalidArgumentError('It must be a duration with a unit: 90s, 15m, 12h, 7d or 4w.')
}

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
  }
}

/** A text that is not empty. */
export function nonEmpty(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('It must not be empty.')
}

/** A host to listen on; an IPv6 address also as it stands in a URL. */
export function listenHost(text: string): string {
  const bare = text.trim().replace(/^\[(.*)\]$/, '$1')
  if (bare !== '' && (!text.trim().startsWith('[') || isIPv6(bare))) return bare
  throw new InvalidArgumentError('It must be an address or a name: 127.0.0.1, 0.0.0.0, ::1, [::1], localhost.')
}

/** Small items travel many at once, the ranges of large ones few: what one number means for both. */
export function parallelism(parallel: number | undefined): { parallel?: number; parallelSmall?: number } {
  if (parallel === undefined) return {}
  return { parallel, parallelSmall: parallel === 1 ? 1 : Math.min(128, parallel * 5) }
}
