import { readFileSync } from 'node:fs'

/** Enough for what is read again and again; more would only keep files of old media open. */
const MOST = 4096
/** Where the system does not tell its limit. */
const FALLBACK = 512

/** How many files the blob store may keep open: an eighth of what the process may have, the rest is for connections. */
export function openFileLimit(limits: () => string = () => readFileSync('/proc/self/limits', 'utf8')): number {
  const allowed = Number(/^Max open files\s+(\d+)/m.exec(orEmpty(limits))?.[1] ?? FALLBACK * 8)
  return Math.min(MOST, Math.max(64, Math.floor(allowed / 8)))
}

function orEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
