/** Transfers that certainly overlapped, held against the caps: by the harness's own watch, not by what a node says. */
import type { Actor } from './actor.ts'
import { CAPS, LEASE_MS } from './cluster.ts'
import type { ChaosFacts, HeldSpan } from './facts.ts'
import type { ChaosHistory, FaultSpan } from './history.ts'

/** A node that wakes ends the transfers whose slots it lost when it has asked for them, not in the same instant. */
const WAKING_MS = 1000
/** What a node sends and the harness's own watch may be apart by. */
const BLUR_MS = 20

export function checkCaps({
  facts,
  history,
  alone,
}: {
  facts: ChaosFacts
  history: ChaosHistory
  alone: FaultSpan[]
}): void {
  const held = facts.held.flatMap(span => certain(span, history.faults)).filter(span => span.end - span.start > BLUR_MS)
  const outages = [...history.faults.filter(fault => fault.kind === 'valkey away'), ...alone]
  for (const direction of ['upload', 'download'] as const) {
    const cap = direction === 'upload' ? CAPS.uploads : CAPS.downloads
    for (const { start: at, client } of held.filter(span => span.direction === direction)) {
      const together = held.filter(
        span => span.client === client && span.direction === direction && span.start <= at && at < span.end - BLUR_MS,
      )
      // Without Valkey each node grants from its share, beside what was held before.
      const isExact = outages.every(outage => at < outage.start || at > (outage.end ?? Infinity) + LEASE_MS)
      const most = isExact ? cap : 2 * cap
      if (together.length === cap) history.count(`${direction}s seen at the cap`)
      if (together.length > most) {
        const which = together.map(span => `node ${span.node} ${span.start.toFixed(0)}-${span.end.toFixed(0)}`)
        history.violate(
          `client ${client} had ${together.length} ${direction}s at once, of ${most}: ${which.join('; ')}`,
        )
      }
    }
  }
  history.count('caps checked')
}

/** Without the time for which the node was idle: it did nothing then. */
function certain(span: HeldSpan, faults: readonly FaultSpan[]): HeldSpan[] {
  const stops = faults.filter(fault => fault.kind === 'SIGSTOP' && fault.node === span.node)
  return stops.reduce<HeldSpan[]>(
    (spans, { start, end }) =>
      spans
        .flatMap(each => [
          { ...each, end: Math.min(each.end, start) },
          { ...each, start: Math.max(each.start, (end ?? Infinity) + WAKING_MS) },
        ])
        .filter(each => each.start < each.end),
    [span],
  )
}

/** The least that a client certainly holds, by what was acknowledged, is never more than its cap. */
export function checkQuota({ facts, history, client }: Actor): void {
  const contents = new Map<string, number>()
  for (const media of facts.media) {
    if (media.client !== client || media.ended !== 'no') continue
    if (media.complete === 'acknowledged' || media.upload?.declared)
      contents.set(media.content.name, media.content.sizeBytes)
  }
  const bytes = [...contents.values()].reduce((sum, size) => sum + size, 0)
  if (bytes > CAPS.storedBytes) history.violate(`client ${client} holds ${bytes} bytes of ${CAPS.storedBytes}`)
}
