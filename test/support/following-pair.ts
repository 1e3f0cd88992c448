/** Two nodes of one cluster, to see how soon what one of them is given arrives at those who follow it at the other. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { mergeRaw, type RawMap } from '../../src/server/index.ts'
import { type Api, createApi } from './api.ts'
import { clusterStores } from './cluster-stores.ts'
import { startValkey, type RunningValkey } from './engines/valkey.ts'
import { bytesFor } from './random.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'

const PART = 256 * 1024
const PARTS = 20

export interface FollowingPair extends AsyncDisposable {
  readonly home: string
  /** Its own, which may be killed. */
  readonly valkey: RunningValkey
  /** The sender's and the follower's. The configuration of each is in `home`, in the folder `a` and `b`. */
  readonly nodes: readonly [ServerProcess, ServerProcess]
  /** From the acknowledgement of each of many parts to its last byte at the follower: ms, the longest. */
  longestLag(): Promise<number>
}

export async function startFollowingPair(): Promise<FollowingPair> {
  await using resources = new AsyncDisposableStack()
  const home = await mkdtemp(join(tmpdir(), 'sealift-follow-'))
  resources.defer(() => rm(home, { recursive: true, force: true }))
  const valkey = resources.use(await startValkey())
  const own = { limits: { valkey: { url: valkey.facts.url, commandTimeout: '500ms' } } }
  const config: RawMap = mergeRaw(mergeRaw(await clusterStores(home), own), { transfer: { partBytes: PART } })
  const start = async (name: string): Promise<ServerProcess> => {
    const directory = join(home, name)
    await mkdir(directory)
    return resources.use(await startServerProcess({ directory, config }))
  }
  const nodes = [await start('a'), await start('b')] as const
  const owned = resources.move()
  return {
    home,
    valkey,
    nodes,
    longestLag: () => longestLag(createApi(nodes[0].url), nodes[1].url),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function longestLag(sender: Api, readerUrl: string): Promise<number> {
  const bytes = bytesFor('followed', PARTS * PART)
  const { uploadId, mediaId } = await sender.begin({ json: { sizeBytes: bytes.length } })
  const put = async (index: number): Promise<number> => {
    const { status } = await sender.putPart(uploadId, index, bytes.subarray(index * PART, (index + 1) * PART))
    if (status !== 204) throw new Error(`Part ${index} gets a response with ${status}`)
    return performance.now()
  }
  const acknowledged = [await put(0)]
  const arrivals: number[] = []
  const following = follow(`${readerUrl}/v1/media/${mediaId}`, arrivals)
  while (arrivals.length === 0) await pause(5)
  for (let index = 1; index < PARTS; index += 1) {
    await pause(30)
    acknowledged.push(await put(index))
  }
  const { status } = await sender.complete(uploadId, bytes.length)
  if (status !== 200) throw new Error(`The end gets a response with ${status}`)
  await following
  if (arrivals.length !== PARTS) throw new Error(`${arrivals.length} of ${PARTS} parts arrived`)
  // The first was there before anybody followed.
  return Math.max(...arrivals.slice(1).map((at, index) => at - (acknowledged[index + 1] ?? 0)))
}

/** Notes when the last byte of each part has come. */
async function follow(url: string, arrivals: number[]): Promise<void> {
  let received = 0
  const response = await fetch(url)
  for await (const chunk of response.body ?? []) {
    received += chunk.length
    while (received >= (arrivals.length + 1) * PART) arrivals.push(performance.now())
  }
}
