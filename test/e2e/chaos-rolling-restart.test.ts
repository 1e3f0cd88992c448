import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import type { RawMap } from '../../src/server/index.ts'
import { startBalancer, type Balancer } from '../support/balancer.ts'
import { clusterStores } from '../support/cluster-stores.ts'
import { OPEN_NODES, useLocalToken } from '../support/local-token.ts'
import { clientIn, digests, writeFiles } from '../support/sdk.ts'
import { startServerProcess, type ServerProcess } from '../support/server-process.ts'

const MiB = 2 ** 20
const RESTARTS = 4
const SENDERS = 3
const sizes = { 'small.bin': 900, 'page.pdf': 300_000, 'film.mp4': 5 * MiB }

let home: string
let stores: RawMap
let balancer: Balancer
const nodes = new Map<number, ServerProcess>()

const startNode = async (place: number): Promise<void> => {
  const directory = join(home, `node-${place}-${nodes.size}-${performance.now()}`)
  await mkdir(directory)
  nodes.set(
    place,
    await startServerProcess({
      directory,
      config: { ...stores, ...OPEN_NODES, transfer: { partBytes: '1MiB', stopGrace: '1s' } },
    }),
  )
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'sealift-rolling-'))
  stores = await clusterStores(home)
  await Promise.all([startNode(0), startNode(1)])
  // As a balancer that has heard of a stop: a node that ends gets nothing new.
  balancer = await startBalancer(() => [...nodes.values()].map(({ url }) => url))
  useLocalToken(balancer.url, null)
}, 120_000)

afterAll(async () => {
  await balancer[Symbol.asyncDispose]()
  await Promise.all([...nodes.values()].map(node => node[Symbol.asyncDispose]()))
  await rm(home, { recursive: true, force: true })
})

it('nodes restarted one after another under load lose nothing, and every send and get succeeds', async () => {
  const over = new AbortController()
  const rounds = Promise.all(
    Array.from({ length: SENDERS }, async (_, sender) => {
      let done = 0
      while (!over.signal.aborted || done === 0) {
        await sendAndGet(`${sender}-${done}`)
        done += 1
      }
      return done
    }),
  )
  // Met below; until then it must not count as unhandled.
  rounds.catch(() => undefined)
  for (let restart = 0; restart < RESTARTS; restart += 1) {
    const place = restart % 2
    const node = nodes.get(place)
    nodes.delete(place)
    expect(await node?.stop(), node?.log()).toBe(0)
    await startNode(place)
  }
  over.abort()
  expect(Math.min(...(await rounds))).toBeGreaterThan(0)
}, 120_000)

async function sendAndGet(name: string): Promise<void> {
  const folder = join(home, name)
  await mkdir(join(folder, 'out'), { recursive: true })
  await using sealift = clientIn(folder, { server: balancer.url })
  const { link } = await sealift.sendFiles(await writeFiles(join(folder, 'out'), sizes))
  await sealift.receive(link, { directory: join(folder, 'in') })
  expect(await digests(join(folder, 'in'))).toEqual(await digests(join(folder, 'out')))
  expect(await readdir(join(folder, 'in'))).toHaveLength(Object.keys(sizes).length)
  await rm(folder, { recursive: true, force: true })
}
