/** Notices that nearly all requests seem to come from one address: mostly a proxy that is not listed as trusted. */
const WINDOW_MS = 10 * 60_000
const MIN_REQUESTS = 1000
const SHARE = 0.9
const MAX_ADDRESSES = 5000

/**
 * Returns a function to be told of each request of an anonymous client; it answers true at the end of a window in which
 * one of several hundred requests or more had nearly all of them. `nowMs` is monotonic.
 */
export function createOneAddressAlarm(): (address: string, forwarded: boolean, nowMs: number) => boolean {
  let counts = new Map<string, number>()
  let total = 0
  let forwardedSeen = 0
  let since = -Infinity
  return (address, forwarded, nowMs) => {
    total += 1
    if (forwarded) forwardedSeen += 1
    if (counts.has(address) || counts.size < MAX_ADDRESSES) counts.set(address, (counts.get(address) ?? 0) + 1)
    if (since === -Infinity) since = nowMs
    if (nowMs - since < WINDOW_MS) return false
    // Without forwarding headers there is no proxy, just one busy client.
    const alarm = total >= MIN_REQUESTS && forwardedSeen > total / 2 && Math.max(...counts.values()) >= total * SHARE
    counts = new Map()
    total = 0
    forwardedSeen = 0
    since = nowMs
    return alarm
  }
}
