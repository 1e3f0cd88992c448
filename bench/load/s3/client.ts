/** Moves one media to or from an S3 service and says how long it took. The first parts, untimed, warm the client up. */
import { timed } from '../requests.ts'
import type { WayOptions } from './way.ts'
import { WAYS } from './ways.ts'

const WARM_UP_PARTS = 8

export interface Plan extends WayOptions {
  readonly way: keyof typeof WAYS
  /** What to fetch; `null`: something is sent. */
  readonly fetch: string | null
  readonly parts: number
}

const plan = JSON.parse(process.argv[2] ?? '') as Plan
const way = WAYS[plan.way](plan)
await (plan.fetch === null ? send(plan.parts) : fetchParts(plan.fetch, plan.parts))

async function send(parts: number): Promise<void> {
  const warmUp = await way.upload(WARM_UP_PARTS)
  await timed(() => way.upload(parts))
  await way.remove(warmUp, WARM_UP_PARTS)
}

async function fetchParts(name: string, parts: number): Promise<void> {
  await way.download(name, Math.min(parts, WARM_UP_PARTS))
  await timed(() => way.download(name, parts).then(() => name))
}
