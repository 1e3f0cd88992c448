/** After the faults: API, bucket and database are read again and held against what was acknowledged. */
import { ListObjectsV2Command } from '@aws-sdk/client-s3'

import { createS3Client } from '../../../src/server/blobs/s3/s3-client.ts'
import type { BlobId } from '../../../src/server/blobs/blob-store.ts'
import type { LiveBlob } from '../../../src/server/records/record-types.ts'
import { eventually } from '../eventually.ts'
import type { Actor } from './actor.ts'
import { type ChaosCluster, CLIENTS, DIRECT_MS, HELD_KEYS, LEASE_MS } from './cluster.ts'
import { readAt } from './direct-steps.ts'
import { newestAcknowledged, type MediaFacts, type ParcelRecord } from './facts.ts'
import { infoOf, nameOf, readMedia } from './media-steps.ts'
import { readParcel } from './parcel-steps.ts'
import { statusOf } from './upload-steps.ts'

/** Everything is known by then: what was asked and never responded has been asked again. */
export async function checkApi(actors: readonly Actor[]): Promise<void> {
  const [first] = actors
  if (first === undefined) return
  const { facts } = first
  const live: MediaFacts[] = []
  await inLanes(facts.media, async media => {
    if (await checkMedia(actorOf(actors, media.client), media)) live.push(media)
  })
  const parcels: ParcelRecord[] = []
  for (const parcel of facts.parcels) {
    const actor = actorOf(actors, parcel.client)
    const seen = [await readParcel(actor, parcel, 0), await readParcel(actor, parcel, 1)]
    if (seen[0] !== seen[1]) actor.history.violate('the nodes differ about a parcel')
    if (seen.includes(null)) actor.history.violate('a parcel could not be read after the faults were over')
    if (seen[0]) parcels.push(parcel)
  }
  for (let client = 0; client < CLIENTS; client += 1) await checkCharge(actorOf(actors, client), { live, parcels })
}

const LANES = 6

/** Several at once, each lane one after the other. */
export async function inLanes<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const left = items.values()
  const lane = async (): Promise<void> => {
    for (const item of left) await work(item)
  }
  await Promise.all(Array.from({ length: LANES }, lane))
}

export const actorOf = (actors: readonly Actor[], client: number): Actor => {
  const actor = actors.find(each => each.client === client)
  if (actor === undefined) throw new Error(`nobody acts for client ${client}`)
  return actor
}

/** @returns whether it is complete and alive */
async function checkMedia(actor: Actor, media: MediaFacts): Promise<boolean> {
  const states = [await infoOf(actor, media, 0), await infoOf(actor, media, 1)]
  if (states[0] !== states[1]) actor.history.violate(`${nameOf(media)}: the nodes say ${states.join(' and ')}`)
  const [state] = states
  if (media.ended === 'acknowledged') await readMedia(actor, { media, range: null, node: 1 })
  if (media.ended === 'no' && state === null) actor.history.violate(`${nameOf(media)} is gone although nobody ended it`)
  if (state === 'uploading' && media.upload) await statusOf(actor, { ...media, upload: media.upload }, 0)
  if (state === 'uploading') await checkPrefix(actor, media)
  if (state === 'complete') await checkWhole(actor, media)
  return state === 'complete'
}

/** What was acknowledged from the start on is readable, and right. */
async function checkPrefix(actor: Actor, media: MediaFacts): Promise<void> {
  if (!media.upload?.acknowledgedParts.has(0) || media.maxDownloads !== null) return
  const told = await readMedia(actor, { media, range: [0, Math.min(media.content.sizeBytes, 100_000) - 1], node: 1 })
  if (told?.code !== null || !told.whole) actor.history.violate(`${nameOf(media)}: its first part cannot be read`)
}

async function checkWhole(actor: Actor, media: MediaFacts): Promise<void> {
  for (const node of [0, 1]) {
    const told = await readMedia(actor, { media, range: null, node })
    if (told?.code === 'downloads_exhausted') continue
    if (told?.code !== null || !told.whole)
      actor.history.violate(`${nameOf(media)} cannot be read whole at node ${node}`)
  }
  if (media.maxDownloads !== null) return
  const isWhole = await readAt(actor, { media, start: 0, grant: null })
  if (!isWhole) actor.history.violate(`${nameOf(media)} cannot be read whole at the store`)
}

/** What addresses might still bring is charged for twice their time, and until the sweep after it. */
const CHARGED_MS = 2 * DIRECT_MS + 10_000

/** The charge is what is held, once every address has expired. */
async function checkCharge(
  actor: Actor,
  { live, parcels }: { readonly live: readonly MediaFacts[]; readonly parcels: readonly ParcelRecord[] },
): Promise<void> {
  const held = new Map(
    live.filter(each => each.client === actor.client).map(({ content }) => [content.name, content.sizeBytes]),
  )
  const manifests = parcels.filter(each => each.client === actor.client).map(sizeOfManifest)
  const expected = [...held.values(), ...manifests].reduce((sum, size) => sum + size, 0)
  const wrong = async (): Promise<string[]> => {
    const { storedBytes } = await usageOf(actor, 0)
    if (storedBytes === expected) return []
    return [`client ${actor.client} is charged ${storedBytes} bytes and holds ${expected}`]
  }
  await within([actor], 'the charge is not what is held', wrong, CHARGED_MS)
}

const sizeOfManifest = (parcel: ParcelRecord): number =>
  parcel.acknowledged.get(newestAcknowledged(parcel))?.length ?? 0

interface Usage {
  readonly uploads: number
  readonly downloads: number
  readonly storedBytes: number
  readonly reservedBytes: number
  readonly pendingUploads: number
}

export async function usageOf(actor: Actor, node: number): Promise<Usage> {
  const told = await actor.ask({ method: 'GET', path: '/v1/limits', what: 'GET limits', node })
  if (told?.code !== null) throw new Error('the limits cannot be asked for after the faults were over')
  return (JSON.parse(told.body.toString()) as { usage: Usage }).usage
}

/** Within the time of a lease no slot is held, at either node or in Valkey. */
export async function checkSlots(actors: readonly Actor[], cluster: ChaosCluster): Promise<void> {
  const left = async (): Promise<string[]> => {
    const found: string[] = []
    for (let client = 0; client < CLIENTS; client += 1) {
      for (const node of [0, 1]) {
        const { uploads, downloads } = await usageOf(actorOf(actors, client), node)
        if (uploads + downloads > 0) found.push(`client ${client} at node ${node}: ${uploads} up, ${downloads} down`)
      }
    }
    return [...found, ...(await heldInValkey(cluster))]
  }
  await within(actors, 'slots are held by nobody', left, 2 * LEASE_MS + 2000)
}

async function heldInValkey({ valkey }: ChaosCluster): Promise<string[]> {
  const keys = (await valkey.command('KEYS', HELD_KEYS)) as string[]
  const [seconds] = (await valkey.command('TIME')) as [string]
  const found: string[] = []
  for (const key of keys) {
    const count = Number(await valkey.command('ZCOUNT', key, String(Number(seconds) * 1000), '+inf'))
    if (count > 0) found.push(`${count} in ${key}`)
  }
  return found
}

/** What the sweeper has to have done within the grace time and a few sweeps. */
export async function checkStores(actors: readonly Actor[], cluster: ChaosCluster): Promise<void> {
  const left = async (): Promise<string[]> => {
    const [objects, blobs] = [await objectsOf(cluster), await liveBlobs(cluster)]
    const { tombstones } = await cluster.records.totals()
    return [
      ...(tombstones > 0 ? [`${tombstones} tombstones`] : []),
      ...[...objects.keys()]
        .filter(blobId => !blobs.has(blobId))
        .map(blobId => `objects of ${blobId}, which is unknown`),
      ...[...blobs.values()].flatMap(blob => wrongObjects(blob, objects.get(blob.blobId) ?? new Map<number, number>())),
    ]
  }
  await within(actors, 'store and records do not agree', left, SWEPT_MS)
  const durable = await lackingParts(cluster)
  const wrong = await cluster.records.auditUsage(false)
  for (const text of [...durable, ...wrong.map(each => `wrong charge: ${JSON.stringify(each)}`)]) {
    actors[0]?.history.violate(text)
  }
}

const SWEPT_MS = 30_000

async function within(
  actors: readonly Actor[],
  what: string,
  left: () => Promise<readonly string[]>,
  withinMs: number,
): Promise<void> {
  let last: readonly string[] = []
  try {
    await eventually(what, async () => (last = await left()).length === 0, withinMs)
  } catch {
    actors[0]?.history.violate(`${what}: ${last.join('; ')}`)
  }
}

/** Blobs by id, each with the sizes of its objects by index. */
async function objectsOf({ bucket }: ChaosCluster): Promise<Map<BlobId, Map<number, number>>> {
  const client = createS3Client(bucket)
  const found = new Map<BlobId, Map<number, number>>()
  const at = `${bucket.prefix}media/`
  try {
    let after: string | undefined
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket: bucket.bucket, Prefix: at, ContinuationToken: after }),
      )
      for (const { Key = '', Size = 0 } of page.Contents ?? []) {
        const [blobId = '', index] = Key.slice(at.length).split('/')
        const parts = found.get(blobId) ?? new Map<number, number>()
        found.set(blobId, parts.set(Number(index), Size))
      }
      after = page.NextContinuationToken
    } while (after !== undefined)
    return found
  } finally {
    client.destroy()
  }
}

async function liveBlobs({ records }: ChaosCluster): Promise<Map<BlobId, LiveBlob>> {
  const blobs = new Map<BlobId, LiveBlob>()
  let after: BlobId | null = null
  for (;;) {
    const page: readonly LiveBlob[] = await records.listLiveBlobs(after, 500)
    for (const blob of page) blobs.set(blob.blobId, blob)
    after = page.at(-1)?.blobId ?? null
    if (page.length < 500) return blobs
  }
}

/** A complete blob has exactly its parts; none waits for its last steps. */
function wrongObjects(
  { blobId, state, sizeBytes, partBytes }: LiveBlob,
  objects: ReadonlyMap<number, number>,
): string[] {
  if (state === 'uploading') return []
  if (state === 'completing') return [`${blobId} is not complete yet`]
  const size = sizeBytes ?? 0
  const expected = Array.from({ length: Math.ceil(size / partBytes) }, (_, index) =>
    Math.min(partBytes, size - index * partBytes),
  )
  const isRight = objects.size === expected.length && expected.every((bytes, index) => objects.get(index) === bytes)
  return isRight ? [] : [`${blobId} has objects ${JSON.stringify([...objects])} for ${JSON.stringify(expected)}`]
}

/** Durable parts of unfinished uploads whose bytes are not there. */
async function lackingParts(cluster: ChaosCluster): Promise<string[]> {
  const [objects, blobs] = [await objectsOf(cluster), await liveBlobs(cluster)]
  const lacking: string[] = []
  for (const { blobId, state } of blobs.values()) {
    if (state !== 'uploading') continue
    for (const { index, durable, sizeBytes } of await cluster.records.listParts(blobId)) {
      if (durable && objects.get(blobId)?.get(index) !== sizeBytes)
        lacking.push(`${blobId} lacks durable part ${index}`)
    }
  }
  return lacking
}

/** All has been ended: nothing is stored, charged or reserved any more. */
export async function checkEmpty(actors: readonly Actor[], cluster: ChaosCluster): Promise<void> {
  const left = async (): Promise<string[]> => {
    const { blobs, reservedBytes, pendingUploads, leases, parcels, tombstones } = await cluster.records.totals()
    const counts = Object.entries({ blobs, reservedBytes, pendingUploads, leases, parcels, tombstones })
    const objects = await objectsOf(cluster)
    return [
      ...counts.filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`),
      ...[...objects.keys()].map(blobId => `objects of ${blobId}`),
    ]
  }
  await within(actors, 'something is left after everything was ended', left, SWEPT_MS)
  for (const charge of await cluster.records.auditUsage(false)) {
    actors[0]?.history.violate(`wrong charge: ${JSON.stringify(charge)}`)
  }
}
