/** Cached slots of several nodes: no request of another node is refused because of them, and the cap holds. */
import { describe, expect, test } from 'vitest'

import type { TransferSlot } from '../../src/server/limits/limiter.ts'
import type { CachedSlotLimiter } from '../../src/server/limits/valkey/cached-slots.ts'
import { slotKey } from '../../src/server/limits/valkey/slot-script-client.ts'
import { clusterNodes } from '../support/cluster-nodes.ts'
import { openClusterSlots } from '../support/cluster-slots.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { eventually } from '../support/eventually.ts'
import { runSeed, seededRandom } from '../support/random.ts'
import { slotRequest } from './slot-limiter-contract.ts'

const NEVER = new AbortController().signal
const CAP = 5
const request = () => slotRequest({ cap: CAP, queue: 0, queueWaitMs: 0 })

/** @param silent further nodes, without a limiter */
async function nodesWithSlots(count: number, silent = 0) {
  const { url } = await sharedEngine(valkeyEngine)
  const resources = new AsyncDisposableStack()
  const { nodes, prefix } = resources.use(
    await clusterNodes(count + silent, { url, commandTimeoutMs: 5000, leaseTtlMs: silent > 0 ? 1000 : 10_000 }),
  )
  const limiters: CachedSlotLimiter[] = []
  for (const node of nodes.slice(0, count)) limiters.push(resources.use(await openClusterSlots(node)))
  const [a, b] = limiters
  if (!a || !b) throw new Error('there are not two')
  return { a, b, limiters, nodes, prefix, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

const free = (slots: readonly TransferSlot[]) => {
  for (const slot of slots) slot[Symbol.dispose]()
}
const takeAll = (slots: CachedSlotLimiter) =>
  Promise.all(Array.from({ length: CAP }, () => slots.acquire(request(), NEVER)))

/** Resolves when this node caches `CAP` slots. */
async function fillCache(slots: CachedSlotLimiter): Promise<void> {
  await eventually('all slots are cached', async () => {
    free(await takeAll(slots))
    const taken = Array.from({ length: CAP }, () => slots.tryAcquire(request()))
    const cached = taken.filter(slot => slot !== null)
    free(cached)
    return cached.length === CAP
  })
}

describe('slots cached by a node', () => {
  test('are taken in the same turn there, up to the cap', async () => {
    await using world = await nodesWithSlots(2)
    await fillCache(world.a)
    const taken = Array.from({ length: CAP + 1 }, () => world.a.tryAcquire(request()))
    expect(taken.map(slot => slot !== null)).toEqual([...Array.from({ length: CAP }, () => true), false])
    await expect(world.a.acquire(request(), NEVER)).rejects.toMatchObject({ code: 'too_many_downloads' })
    await expect(world.b.acquire(request(), NEVER)).rejects.toMatchObject({ code: 'too_many_downloads' })
    free(taken.filter(slot => slot !== null))
  })

  test('are granted to a request at another node, though it must not queue', async () => {
    await using world = await nodesWithSlots(2)
    for (let round = 0; round < 3; round += 1) {
      await fillCache(world.a)
      const slots = await takeAll(world.b)
      expect(world.a.tryAcquire(request())).toBeNull()
      await expect(world.a.acquire(request(), NEVER)).rejects.toMatchObject({ code: 'too_many_downloads' })
      free(slots)
    }
  })

  test('slots in use stay in use: only idle ones are reclaimed', async () => {
    await using world = await nodesWithSlots(2)
    await fillCache(world.a)
    const used = world.a.tryAcquire(request())
    const others = await Promise.allSettled(Array.from({ length: CAP }, () => world.b.acquire(request(), NEVER)))
    expect(others.filter(({ status }) => status === 'fulfilled')).toHaveLength(CAP - 1)
    used?.[Symbol.dispose]()
  })

  test('do not count as held, at any node', async () => {
    await using world = await nodesWithSlots(2)
    for (const node of [world.a, world.b]) {
      await fillCache(world.a)
      const used = world.a.tryAcquire(request())
      expect(await node.held('subject:a', 'download')).toBe(1)
      used?.[Symbol.dispose]()
    }
  })

  test('are released when the client sends no more requests', async () => {
    await using world = await nodesWithSlots(2)
    await fillCache(world.a)
    const key = slotKey('subject:a', 'download')
    const inValkey = () => world.nodes[0]?.link.send(['ZCARD', `${world.prefix}slots:held:${key}`])
    expect(await inValkey()).toBe(CAP)
    await eventually('all are released', async () => (await inValkey()) === 0)
    expect(world.a.tryAcquire(request())).toBeNull()
  })

  test('of a node that does not acknowledge count as used: requests wait for it at most a quarter of a second', async () => {
    await using world = await nodesWithSlots(2, 1)
    const silent = world.nodes[2]
    await silent?.link.subscribe('slots:reclaim', () => undefined)
    const slots = await takeAll(world.a)
    await expect(world.b.acquire(request(), NEVER)).rejects.toMatchObject({ code: 'too_many_downloads' })
    expect(await world.b.held('subject:a', 'download')).toBe(CAP)
    free(slots)
  })

  test('never exceed the cap, however three nodes take turns', async () => {
    await using world = await nodesWithSlots(3)
    const random = seededRandom(runSeed())
    const watch = { now: 0, most: 0, served: 0, refused: 0 }
    const transfer = async () => {
      const slots = random.pick(world.limiters)
      const slot = slots.tryAcquire(request()) ?? (await slots.acquire(request(), NEVER).catch(() => null))
      if (!slot) {
        watch.refused += 1
        return
      }
      watch.now += 1
      watch.most = Math.max(watch.most, watch.now)
      if (random.chance(0.5)) await new Promise(resolve => void setTimeout(resolve, random.int(4)))
      watch.now -= 1
      watch.served += 1
      slot[Symbol.dispose]()
    }
    // Few requests, so that slots are cached, in turn with more than the cap, so that they are reclaimed.
    for (let spell = 0; spell < 12; spell += 1) {
      const lanes = spell % 2 === 0 ? 2 : 2 * CAP
      const lane = async () => {
        for (let at = 0; at < 30; at += 1) await transfer()
      }
      await Promise.all(Array.from({ length: lanes }, lane))
    }
    expect(watch.most).toBeLessThanOrEqual(CAP)
    // Requests are refused only when all slots are in use.
    expect(watch.refused).toBeGreaterThan(0)
    expect(watch.served + watch.refused).toBe(6 * 30 * (2 + 2 * CAP))
    expect(watch.served).toBeGreaterThan(6 * 30 * 2)
    expect(await world.b.held('subject:a', 'download')).toBe(0)
  })
})
