/** Notices that nearly all requests seem to come from one address: mostly a proxy that is not listed as trusted. */
const WINDOW_MS = 10 * 60_000
const MIN_REQUESTS = 1000
const SHARE = 0.9
const MAX_ADDRESSES = 5000
/** One request of so many is looked at, since this runs for every request. */
const SAMPLE_EVERY = 8

/**
 * Returns a function to call for each request of an anonymous client. It returns true at the end of a window in which
 * one of several addresses sent nearly all of about a thousand requests or more, most of them through a proxy. `nowMs` is
 * monotonic.
 */
export function createOneAddressAlarm(): (address: string, forwarded: () => boolean, nowMs: number) => boolean {
  let counts = new Map<string, number>()
  let requests = 0
  let sampled = 0
  let forwardedSeen = 0
  let since = -Infinity
  return (address, forwarded, nowMs) => {
    if (since === -Infinity) since = nowMs
    if (requests++ % SAMPLE_EVERY === 0) {
      sampled += 1
      if (forwarded()) forwardedSeen += 1
      if (counts.has(address) || counts.size < MAX_ADDRESSES) counts.set(address, (counts.get(address) ?? 0) + 1)
    }
    if (nowMs - since < WINDOW_MS) return false
    // Without forwarding headers there is no proxy, just one busy client.
    const alarm =
      requests >= MIN_REQUESTS && forwardedSeen > sampled / 2 && Math.max(...counts.values()) >= sampled * SHARE
    counts = new Map()
    requests = 0
    sampled = 0
    forwardedSeen = 0
    since = nowMs
    return alarm
  }
}
