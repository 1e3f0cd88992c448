/** What every SlotLimiter does. A cluster's nodes are asked in turn; a limiter of one process is its only node. */
import { describe, expect, test } from 'vitest'

import type { ClientCredential } from '../../src/server/access/caller.ts'
import { createSessions, type Sessions } from '../../src/server/access/sessions.ts'
import { createLiveConfig } from '../../src/server/config/live-config.ts'
import { parseConfig } from '../../src/server/config/parse-config.ts'
import type { NodeSlotLimiter, SlotRequest, TransferSlot } from '../../src/server/limits/limiter.ts'
import { eventually } from '../support/eventually.ts'
import { runSeed, seededRandom } from '../support/random.ts'

export interface SlotLimiters extends AsyncDisposable {
  /** All of them grant from the same slots. */
  readonly limiters: readonly [NodeSlotLimiter, ...NodeSlotLimiter[]]
}

const NEVER = new AbortController().signal
export const slotRequest = (changes: Partial<SlotRequest> = {}): SlotRequest => ({
  clientId: 'subject:a',
  direction: 'download',
  cap: 4,
  queue: 1000,
  queueWaitMs: 60_000,
  ...changes,
})
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

/** How many slots are granted without queueing once all are free; they are released. */
export async function takeable(slots: NodeSlotLimiter, request: SlotRequest): Promise<number> {
  const taken: TransferSlot[] = []
  await allAreBack(slots, request)
  for (let index = 0; index <= request.cap; index += 1) {
    const slot = await slots.acquire({ ...request, queue: 0, queueWaitMs: 0 }, NEVER).catch(() => null)
    if (slot) taken.push(slot)
  }
  for (const slot of taken) slot[Symbol.dispose]()
  return taken.length
}

/** Releases of another node may be in flight. */
async function allAreBack(slots: NodeSlotLimiter, { clientId, direction }: SlotRequest): Promise<void> {
  await eventually('no slot is held', async () => (await slots.held(clientId, direction)) === 0)
}

export function slotLimiterContract(open: (sessions?: Sessions) => Promise<SlotLimiters>): void {
  describe('exactness', () => {
    test('200 at once with a cap of 7: never more than 7, all are served, nothing is left', async () => {
      await using world = await open()
      const { limiters } = world
      const watch = { now: 0, most: 0, served: 0 }
      const transfer = async (index: number) => {
        const slots = limiters[index % limiters.length] ?? limiters[0]
        using _ = await slots.acquire(slotRequest({ cap: 7 }), NEVER)
        watch.now += 1
        watch.most = Math.max(watch.most, watch.now)
        await turn()
        watch.now -= 1
        watch.served += 1
      }
      await Promise.all(Array.from({ length: 200 }, (_, index) => transfer(index)))
      expect(watch).toEqual({ now: 0, most: 7, served: 200 })
      for (const slots of limiters) {
        expect([slots.inFlight('download'), slots.waiting('download')]).toEqual([0, 0])
        await allAreBack(slots, slotRequest())
      }
    })

    test('whatever is asked, aborted, timed out and freed, the cap holds and nothing is lost', async () => {
      const seed = runSeed()
      const random = seededRandom(seed)
      await using world = await open()
      const { limiters } = world
      const cap = 1 + random.int(5)
      const inFlight = new Map<string, number>()
      let over = 0
      const run = async () => {
        const [clientId, direction] = [`c${random.int(3)}`, random.pick(['upload', 'download'] as const)]
        const key = clientId + direction
        const stop = new AbortController()
        const queueWaitMs = random.pick([0, 1, 60_000])
        const [startAfter, workTurns, fails] = [random.int(8), random.int(4), random.chance(0.2)]
        for (let i = 0; i < startAfter; i += 1) await turn()
        if (random.chance(0.4)) setTimeout(() => stop.abort(new Error('gone')), random.int(20))
        const request = slotRequest({ clientId, direction, cap, queue: random.int(40), queueWaitMs })
        try {
          using _ = await random.pick(limiters).acquire(request, stop.signal)
          const count = (inFlight.get(key) ?? 0) + 1
          inFlight.set(key, count)
          over = Math.max(over, count - cap)
          for (let i = 0; i < workTurns; i += 1) await turn()
          inFlight.set(key, (inFlight.get(key) ?? 0) - 1)
          if (fails) throw new Error('the disk failed')
        } catch {
          // Refused, aborted or failed: each frees what it had.
        }
      }
      await Promise.all(Array.from({ length: 300 }, run))
      expect(over, `seed ${seed}`).toBeLessThanOrEqual(0)
      for (const direction of ['upload', 'download'] as const) {
        for (const clientId of ['c0', 'c1', 'c2']) {
          const request = slotRequest({ clientId, direction, cap })
          for (const slots of limiters) expect(await takeable(slots, request), `seed ${seed}`).toBe(cap)
        }
      }
    })

    test('queued requests are served in order of arrival', async () => {
      await using world = await open()
      const [first] = world.limiters
      const held = await first.acquire(slotRequest({ cap: 1 }), NEVER)
      const order: number[] = []
      const all: Promise<void>[] = []
      for (let index = 0; index < 20; index += 1) {
        const slots = world.limiters[index % world.limiters.length] ?? first
        const before = slots.waiting('download')
        const one = async () => {
          using _ = await slots.acquire(slotRequest({ cap: 1 }), NEVER)
          order.push(index)
        }
        all.push(one())
        expect(slots.waiting('download')).toBe(before + 1)
        // The request is queued before the next one is sent.
        await slots.held('subject:a', 'download')
      }
      held[Symbol.dispose]()
      await Promise.all(all)
      expect(order).toEqual(Array.from({ length: 20 }, (_, index) => index))
    })
  })

  describe('refusals', () => {
    test('one more than the queue holds is refused at once, and names the limit', async () => {
      await using world = await open()
      const [first] = world.limiters
      const last = world.limiters.at(-1) ?? first
      const held = await first.acquire(slotRequest({ cap: 1 }), NEVER)
      const waiting = first.acquire(slotRequest({ cap: 1, queue: 1 }), NEVER)
      await first.held('subject:a', 'download')
      await expect(last.acquire(slotRequest({ cap: 1, queue: 1 }), NEVER)).rejects.toMatchObject({
        code: 'too_many_downloads',
        context: { limit: 'concurrentDownloads', value: 1, remaining: 0, retryAfterSeconds: expect.any(Number) },
      })
      held[Symbol.dispose]()
      ;(await waiting)[Symbol.dispose]()
    })

    test('a request that waits too long is refused, and takes no slot afterwards', async () => {
      await using world = await open()
      const [first] = world.limiters
      const last = world.limiters.at(-1) ?? first
      const held = await first.acquire(slotRequest({ direction: 'upload', cap: 1 }), NEVER)
      const late = last.acquire(slotRequest({ direction: 'upload', cap: 1, queueWaitMs: 5 }), NEVER)
      await expect(late).rejects.toMatchObject({ code: 'too_many_uploads', context: { limit: 'concurrentUploads' } })
      held[Symbol.dispose]()
      expect(await takeable(last, slotRequest({ direction: 'upload', cap: 1 }))).toBe(1)
    })

    test('an aborted request gets no slot, and one aborted later leaves the queue', async () => {
      await using world = await open()
      const [slots] = world.limiters
      const reason = new Error('gone')
      await expect(slots.acquire(slotRequest(), AbortSignal.abort(reason))).rejects.toBe(reason)
      const held = await slots.acquire(slotRequest({ cap: 1 }), NEVER)
      const stop = new AbortController()
      const leaving = slots.acquire(slotRequest({ cap: 1 }), stop.signal)
      const next = slots.acquire(slotRequest({ cap: 1 }), NEVER)
      stop.abort(reason)
      held[Symbol.dispose]()
      await expect(leaving).rejects.toBe(reason)
      ;(await next)[Symbol.dispose]()
      expect(await takeable(slots, slotRequest({ cap: 1 }))).toBe(1)
    })
  })

  describe('reload', () => {
    test('a lowered cap takes no slot away and applies to new requests', async () => {
      await using world = await open()
      const [slots] = world.limiters
      const held = await Promise.all(Array.from({ length: 4 }, () => slots.acquire(slotRequest({ cap: 4 }), NEVER)))
      const late = slots.acquire(slotRequest({ cap: 2 }), NEVER)
      for (const slot of held) expect(slot.signal.aborted).toBe(false)
      held[0]?.[Symbol.dispose]()
      held[1]?.[Symbol.dispose]()
      expect(await slots.held('subject:a', 'download')).toBe(2)
      expect(slots.waiting('download')).toBe(1)
      held[2]?.[Symbol.dispose]()
      ;(await late)[Symbol.dispose]()
    })

    test('a raised cap applies to queued requests as soon as one more is sent', async () => {
      await using world = await open()
      const [slots] = world.limiters
      const held = await slots.acquire(slotRequest({ cap: 1 }), NEVER)
      const waiting = [slots.acquire(slotRequest({ cap: 1 }), NEVER), slots.acquire(slotRequest({ cap: 1 }), NEVER)]
      const newcomer = slots.acquire(slotRequest({ cap: 4 }), NEVER)
      const all = await Promise.all([...waiting, newcomer])
      expect(await slots.held('subject:a', 'download')).toBe(4)
      for (const slot of [held, ...all]) slot[Symbol.dispose]()
    })
  })

  describe('separation and ends', () => {
    test('clients and directions do not take from each other', async () => {
      await using world = await open()
      const [slots] = world.limiters
      for (const clientId of ['subject:a', 'subject:b']) {
        for (const direction of ['upload', 'download'] as const) {
          await slots.acquire(slotRequest({ clientId, direction, cap: 1 }), NEVER)
          expect(await slots.held(clientId, direction)).toBe(1)
        }
      }
    })

    test('freeing a slot twice frees it once', async () => {
      await using world = await open()
      const [slots] = world.limiters
      const first = await slots.acquire(slotRequest({ cap: 2 }), NEVER)
      await slots.acquire(slotRequest({ cap: 2 }), NEVER)
      first[Symbol.dispose]()
      first[Symbol.dispose]()
      expect(await slots.held('subject:a', 'download')).toBe(1)
      expect(slots.inFlight('download')).toBe(1)
    })

    test('closing refuses queued and new requests; held slots stay held', async () => {
      await using world = await open()
      const [slots] = world.limiters
      const held = await slots.acquire(slotRequest({ cap: 1 }), NEVER)
      const waiting = slots.acquire(slotRequest({ cap: 1 }), NEVER)
      slots.close()
      await expect(waiting).rejects.toMatchObject({ code: 'shutting_down' })
      await expect(slots.acquire(slotRequest(), NEVER)).rejects.toMatchObject({ code: 'shutting_down' })
      expect(held.signal.aborted).toBe(false)
    })

    test('a revoked credential loses its slots and its positions in the queue', async () => {
      const live = createLiveConfig(parseConfig({}))
      using sessions = createSessions(live)
      await using world = await open(sessions)
      const [slots] = world.limiters
      let holds = true
      const credential: ClientCredential = { fingerprint: 'f', takenBy: live.current, holdsIn: async () => holds }
      const held = await slots.acquire(slotRequest({ cap: 1, credential }), NEVER)
      const waiting = slots.acquire(slotRequest({ cap: 1, credential }), NEVER)
      waiting.catch(() => undefined)
      holds = false
      live.apply(parseConfig({}))
      await expect(waiting).rejects.toMatchObject({ code: 'unauthorized' })
      await eventually('the slot is taken away', () => held.signal.aborted)
      held[Symbol.dispose]()
      expect(sessions.size).toBe(0)
    })
  })
}
