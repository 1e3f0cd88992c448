import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import type { ClusterNode, NodeWatcher } from '../../../src/server/cluster/cluster-node.ts'
import type { NodeSlotLimiter, SlotRequest, TransferSlot } from '../../../src/server/limits/limiter.ts'
import { HeldSlot, slotExpired } from '../../../src/server/limits/held-slot.ts'
import { cacheSlots } from '../../../src/server/limits/valkey/cached-slots.ts'
import { slotKey } from '../../../src/server/limits/valkey/slot-script-client.ts'

const CAP = 8
const SWEEP_MS = 100
const KEY = slotKey('a', 'download')
const NEVER = new AbortController().signal

const request = (changes: Partial<SlotRequest> = {}): SlotRequest => ({
  clientId: 'a',
  direction: 'download',
  cap: CAP,
  queue: 0,
  queueWaitMs: 0,
  ...changes,
})

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** A node with a limiter that grants every request, and a link that delivers messages to this node alone. */
async function setUp() {
  const acquired: HeldSlot[] = []
  const released: number[] = []
  const slots: NodeSlotLimiter & AsyncDisposable = {
    acquire() {
      const number = acquired.length
      const slot = new HeldSlot(() => released.push(number))
      acquired.push(slot)
      return Promise.resolve(slot)
    },
    held: () => acquired.length - released.length,
    looksFree: () => true,
    inFlight: () => acquired.length - released.length,
    waiting: () => 0,
    close: () => undefined,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const listeners = new Map<string, (message: string) => void>()
  const published: string[] = []
  const link = {
    prefix: 'p:',
    subscribe: async (channel: string, listener: (message: string) => void) => void listeners.set(channel, listener),
    async send([, channel = '', message = '']: readonly string[]) {
      published.push(`${channel} ${message}`)
      return 2
    },
  }
  const watchers: NodeWatcher[] = []
  const node = {
    id: 'me',
    link,
    phase: 'joined',
    nodes: 1,
    watch(watcher: NodeWatcher) {
      watchers.push(watcher)
      return { [Symbol.dispose]: () => undefined }
    },
  }
  const cached = await cacheSlots({ slots, node: node as unknown as ClusterNode, name: 'slots' })
  const useOnce = async () => (await cached.acquire(request(), NEVER))[Symbol.dispose]()
  /** As many transfers as it takes for the slot of the last one to be cached. */
  const becomeBusy = async () => {
    for (let transfer = 0; transfer < 5; transfer += 1) await useOnce()
    const first = released.length
    expect(acquired.length - first).toBe(1)
    return first
  }
  /** Holds `count` slots at once, the cached ones among them, and returns them to the cache. */
  const cacheThese = async (count: number) => {
    const held: TransferSlot[] = []
    for (let index = 0; index < count; index += 1) held.push(await cached.acquire(request(), NEVER))
    for (const slot of held) slot[Symbol.dispose]()
  }
  const reclaimByOther = async () => {
    const before = published.length
    listeners.get('slots:reclaim')?.(`other 1 ${KEY}`)
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve()
    return published.slice(before)
  }
  return { cached, node, watchers, acquired, released, becomeBusy, useOnce, cacheThese, reclaimByOther }
}

describe('a slot whose transfer has ended', () => {
  test('is released when the client sends few requests', async () => {
    const { cached, acquired, released, useOnce } = await setUp()
    for (let second = 0; second < 5; second += 1) {
      for (let transfer = 0; transfer < 4; transfer += 1) await useOnce()
      vi.advanceTimersByTime(1000)
    }
    expect([acquired.length, released.length]).toEqual([20, 20])
    expect(cached.tryAcquire(request())).toBeNull()
  })

  test('is cached for the next transfer where there are many, and is used by one at a time', async () => {
    const { cached, acquired, released, becomeBusy } = await setUp()
    const before = await becomeBusy()
    const slot = cached.tryAcquire(request())
    expect(slot).not.toBeNull()
    expect(cached.tryAcquire(request())).toBeNull()
    expect(cached.tryAcquire(request({ direction: 'upload' }))).toBeNull()
    slot?.[Symbol.dispose]()
    slot?.[Symbol.dispose]()
    expect(cached.tryAcquire(request())).not.toBeNull()
    expect(cached.tryAcquire(request())).toBeNull()
    expect([acquired.length, released.length]).toEqual([before + 1, before])
  })

  test('does not count as in flight, nor as held', async () => {
    const { cached, becomeBusy } = await setUp()
    await becomeBusy()
    expect(cached.inFlight('download')).toBe(0)
    const slot = cached.tryAcquire(request())
    expect(cached.inFlight('download')).toBe(1)
    expect(await cached.held('a', 'download')).toBe(1)
    slot?.[Symbol.dispose]()
    expect(await cached.held('a', 'download')).toBe(0)
  })

  test('is released when it was not needed between two sweeps', async () => {
    const { cached, acquired, released, becomeBusy, cacheThese } = await setUp()
    const before = await becomeBusy()
    await cacheThese(3)
    expect(acquired).toHaveLength(before + 3)
    vi.advanceTimersByTime(SWEEP_MS)
    const used = cached.tryAcquire(request())
    vi.advanceTimersByTime(SWEEP_MS)
    expect(released).toHaveLength(before + 2)
    used?.[Symbol.dispose]()
    vi.advanceTimersByTime(3 * SWEEP_MS)
    expect(released).toHaveLength(before + 3)
  })

  test('is released a second after it was acquired, however busy the client is', async () => {
    const { acquired, becomeBusy, useOnce } = await setUp()
    const before = await becomeBusy()
    for (let round = 0; round < 30; round += 1) {
      await useOnce()
      vi.advanceTimersByTime(50)
    }
    expect(acquired.length).toBeGreaterThan(before + 1)
    expect(acquired.length).toBeLessThan(before + 4)
  })

  test('is released after a long transfer, when the client is forgotten meanwhile', async () => {
    const { cached, acquired, released, becomeBusy } = await setUp()
    await becomeBusy()
    const slot = cached.tryAcquire(request())
    vi.advanceTimersByTime(100 * SWEEP_MS)
    slot?.[Symbol.dispose]()
    expect(released).toHaveLength(acquired.length)
  })
})

describe('cached slots are released', () => {
  test('all of them, when another node reclaims them, and none is cached for a second', async () => {
    const { acquired, released, becomeBusy, cacheThese, useOnce, reclaimByOther } = await setUp()
    await becomeBusy()
    await cacheThese(2)
    expect(await reclaimByOther()).toEqual(['p:slots:reclaim:other 1'])
    expect(released).toHaveLength(acquired.length)
    for (let transfer = 0; transfer < 20; transfer += 1) await useOnce()
    expect(released).toHaveLength(acquired.length)
    vi.advanceTimersByTime(1000)
    await becomeBusy()
  })

  test('when the cap was lowered since they were acquired', async () => {
    const { cached, acquired, released, becomeBusy } = await setUp()
    await becomeBusy()
    expect(cached.tryAcquire(request({ cap: CAP - 1 }))).toBeNull()
    expect(released).toHaveLength(acquired.length)
  })

  test('when they may have expired while this process was paused', async () => {
    const { cached, acquired, released, becomeBusy } = await setUp()
    await becomeBusy()
    // A paused process runs no timers.
    const resumedAt = performance.now() + 1000
    vi.spyOn(performance, 'now').mockReturnValue(resumedAt)
    expect(cached.tryAcquire(request())).toBeNull()
    expect(released).toHaveLength(acquired.length)
  })

  test('when they have expired', async () => {
    const { cached, acquired, becomeBusy } = await setUp()
    await becomeBusy()
    acquired.at(-1)?.takeAway(slotExpired())
    expect(cached.tryAcquire(request())).toBeNull()
  })

  test('when the link to Valkey breaks, and none is cached until it is back', async () => {
    const { cached, node, watchers, acquired, released, becomeBusy, useOnce } = await setUp()
    await becomeBusy()
    node.phase = 'rejoining'
    for (const watcher of watchers) watcher.disconnected?.()
    expect(released).toHaveLength(acquired.length)
    for (let transfer = 0; transfer < 20; transfer += 1) await useOnce()
    expect(cached.tryAcquire(request())).toBeNull()
  })

  test('when the limiter is closed', async () => {
    const { cached, acquired, released, becomeBusy } = await setUp()
    await becomeBusy()
    cached.close()
    expect(released).toHaveLength(acquired.length)
    expect(cached.tryAcquire(request())).toBeNull()
  })
})
