/** One seeded run: work, faults in between, then quiet, and everything is read again and held against the history. */
import { setTimeout as pause } from 'node:timers/promises'

import { eventually } from '../eventually.ts'
import { seededRandom } from '../random.ts'
import { Actor } from './actor.ts'
import { checkCaps, checkQuota } from './check-caps.ts'
import { actorOf, checkApi, checkEmpty, checkSlots, checkStores, inLanes } from './check-end.ts'
import { type ChaosCluster, CLIENTS } from './cluster.ts'
import { forgeDirectly, readDirectly, useForged } from './direct-steps.ts'
import { ChaosFacts } from './facts.ts'
import { injectFaults, lapseSweepLease } from './faults.ts'
import { ChaosHistory, type FaultSpan } from './history.ts'
import { unfinished } from './known-uploads.ts'
import { deleteMedia, deleteSome, follow, forward, info, readCounted, readDeleted, readSome } from './media-steps.ts'
import { endParcel, endSomeParcel, publish, readSomeParcel, replace } from './parcel-steps.ts'
import { abortSome, begin, completeSome, forgePart, putSome, status, storeMedia } from './upload-steps.ts'

const ACTORS = 6
/** Faults begin within this time. */
const FAULTS_MS = 1500
const READY_MS = 30_000

type Step = (actor: Actor) => Promise<unknown>

const beginOrPut: Step = actor => (unfinished(actor).length < 4 ? begin(actor) : putSome(actor))

/** Each as often as it stands here. */
const STEPS: readonly Step[] = [
  ...times(4, beginOrPut),
  ...times(7, putSome),
  ...times(3, storeMedia),
  ...times(4, readSome),
  ...times(2, readCounted),
  ...times(3, readDirectly),
  ...times(2, forgeDirectly),
  ...times(2, useForged),
  ...times(3, follow),
  ...times(2, forward),
  ...times(2, deleteSome),
  ...times(2, readDeleted),
  ...times(2, replace),
  ...times(2, readSomeParcel),
  publish,
  endSomeParcel,
  completeSome,
  abortSome,
  forgePart,
  status,
  info,
]

function times(count: number, step: Step): Step[] {
  return Array.from({ length: count }, () => step)
}

export interface ChaosResult {
  readonly seed: number
  readonly violations: readonly string[]
  /** What was done, by name. */
  readonly counts: Readonly<Record<string, number>>
  readonly history: string
  readonly durationMs: number
}

export async function runChaos(cluster: ChaosCluster, seed: number): Promise<ChaosResult> {
  const history = new ChaosHistory()
  const facts = new ChaosFacts()
  const startedAt = Date.now()
  const logsBefore = cluster.nodes.map(node => node.log.length)
  const actors = Array.from(
    { length: ACTORS },
    (_, index) =>
      new Actor({
        name: `s${seed}-${index}`,
        client: index % CLIENTS,
        random: seededRandom(seed * 100 + index),
        cluster,
        facts,
        history,
      }),
  )
  try {
    await work(cluster, actors, seed)
    await recover(cluster, actors)
    history.note('everything gets a response')
    checkCaps({ facts, history, alone: aloneSpans(cluster, startedAt, logsBefore) })
    await checkSlots(actors, cluster)
    history.note('no slot is held')
    await checkApi(actors)
    history.note('the API was read')
    await checkStores(actors, cluster)
    history.note('the stores were read')
    await endEverything(actors)
    await checkEmpty(actors, cluster)
  } catch (error) {
    history.violate(`the run could not go on: ${error instanceof Error ? error.message : String(error)}`)
  }
  const logs = cluster.nodes.map((node, index) => `--- log of node ${index}\n${node.log.slice(logsBefore[index])}`)
  return {
    seed,
    violations: history.violations,
    counts: history.counts(),
    history: `${history.toString()}\n${logs.join('\n')}`,
    durationMs: history.now(),
  }
}

async function work(cluster: ChaosCluster, actors: readonly Actor[], seed: number): Promise<void> {
  const [{ history }] = actors as [Actor]
  const over = new AbortController()
  const running = actors.map(actor => keepWorking(actor, over.signal))
  await injectFaults({ cluster, history, random: seededRandom(seed) }, seed, FAULTS_MS)
  await pause(200)
  over.abort()
  await Promise.all(running)
}

async function keepWorking(actor: Actor, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    await actor.random.pick(STEPS)(actor)
    checkQuota(actor)
    // While both nodes are down, calls fail at once.
    await pause(actor.random.int(10))
  }
}

/** All faults are over; what was asked and never responded is asked again until it is known what became of it. */
async function recover(cluster: ChaosCluster, actors: readonly Actor[]): Promise<void> {
  const [{ history, facts }] = actors as [Actor]
  history.note('faults are over')
  for (const actor of actors) actor.isQuiet = true
  await eventually(
    'both nodes are ready',
    async () => (await Promise.all(cluster.nodes.map(isReady))).every(Boolean),
    READY_MS,
  )
  // Otherwise the lease of a node that was killed keeps the other from sweeping for longer than a run lasts.
  await lapseSweepLease(cluster)
  await eventually(
    'everything that was asked gets a response',
    async () => {
      for (const creation of facts.open) await actorOf(actors, creation.client).create(creation)
      return facts.open.size === 0
    },
    READY_MS,
  )
}

async function isReady({ url }: ChaosCluster['nodes'][number]): Promise<boolean> {
  const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5000) }).catch(() => null)
  const text = await response?.text()
  return response?.ok === true && text?.includes('degraded') === false
}

async function endEverything(actors: readonly Actor[]): Promise<void> {
  const [{ facts, history }] = actors as [Actor]
  for (const parcel of facts.parcels) await endParcel(actorOf(actors, parcel.client), parcel)
  await inLanes(facts.media, async media => {
    const told = await deleteMedia(actorOf(actors, media.client), media)
    if (told?.code !== null) history.violate(`a media item could not be deleted after the faults were over`)
  })
}

/** When a node was cut off from Valkey, by its own log: also because this machine was too busy to respond in time. */
function aloneSpans(cluster: ChaosCluster, startedAt: number, logsBefore: readonly number[]): FaultSpan[] {
  return cluster.nodes.flatMap((node, index) => {
    const spans: FaultSpan[] = []
    for (const line of node.log.slice(logsBefore[index]).split('\n')) {
      if (!line.includes('"part":"shared limits"')) continue
      const at = new Date((JSON.parse(line) as { time: string | number }).time).getTime() - startedAt
      const last = spans.at(-1)
      if (line.includes('not working')) spans.push({ kind: 'alone', node: index, start: at - 1000, end: null })
      else if (last) last.end = at
    }
    return spans
  })
}
