import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { ClientCredential } from '../../../src/server/access/caller.ts'
import { createSessions } from '../../../src/server/access/sessions.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { SlotRequest, TransferSlot } from '../../../src/server/limits/limiter.ts'
import { watchCredentials } from '../../../src/server/limits/credential-watch.ts'
import { createMemorySlotLimiter, type MemorySlotLimiter } from '../../../src/server/limits/memory/slot-limiter.ts'
import { slotRequest as request } from '../../contract/slot-limiter-contract.ts'

const NEVER = new AbortController().signal
const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

/** Goes through the whole life of a transfer, watching that there are never too many. */
async function transfer(slots: MemorySlotLimiter, ask: SlotRequest, watch: { now: number; most: number }, work = turn) {
  using _slot = await slots.acquire(ask, NEVER)
  watch.now += 1
  watch.most = Math.max(watch.most, watch.now)
  try {
    await work()
  } finally {
    watch.now -= 1
  }
}

describe('a slot at once', () => {
  test('counts as any other, and there are never more than the cap', async () => {
    using slots = createMemorySlotLimiter()
    const ask = request({ cap: 2 })
    const first = slots.tryAcquire(ask)
    using _second = await slots.acquire(ask, NEVER)
    expect(slots.tryAcquire(ask)).toBeNull()
    expect([slots.held('subject:a', 'download'), slots.inFlight('download')]).toEqual([2, 2])
    first?.[Symbol.dispose]()
    first?.[Symbol.dispose]()
    expect(slots.held('subject:a', 'download')).toBe(1)
    using third = slots.tryAcquire(ask)
    expect(third).not.toBeNull()
  })

  test('is not granted before queued requests, nor when the server stops', async () => {
    using slots = createMemorySlotLimiter()
    const first = slots.tryAcquire(request({ cap: 1 }))
    const waiting = slots.acquire(request({ cap: 1 }), NEVER)
    first?.[Symbol.dispose]()
    expect(slots.tryAcquire(request({ cap: 1 }))).toBeNull()
    ;(await waiting)[Symbol.dispose]()
    slots.close()
    expect(slots.tryAcquire(request({ cap: 1 }))).toBeNull()
    expect(slots.inFlight('download')).toBe(0)
  })
})

describe('exactness', () => {
  test('300 at once with a cap of 7: never more than 7, all are served, in the order they came', async () => {
    using slots = createMemorySlotLimiter()
    const watch = { now: 0, most: 0 }
    const order: number[] = []
    const all = Array.from({ length: 300 }, (_, index) =>
      transfer(slots, request({ cap: 7 }), watch, async () => {
        order.push(index)
        await turn()
      }),
    )
    expect(slots.held('subject:a', 'download')).toBe(7)
    expect(slots.waiting('download')).toBe(293)
    await Promise.all(all)
    expect(watch.most).toBe(7)
    expect(order).toEqual(Array.from({ length: 300 }, (_, index) => index))
    expect([slots.inFlight('download'), slots.waiting('download'), slots.held('subject:a', 'download')]).toEqual([
      0, 0, 0,
    ])
  })

  test('property: whatever is asked, aborted, timed out and freed, the cap holds and nothing is lost', async () => {
    const plan = fc.record({
      client: fc.integer({ min: 0, max: 2 }),
      upload: fc.boolean(),
      abortAfter: fc.option(fc.integer({ min: 0, max: 6 }), { nil: null }),
      workTurns: fc.integer({ min: 0, max: 4 }),
      fails: fc.boolean(),
      startTurn: fc.integer({ min: 0, max: 8 }),
      waitMs: fc.constantFrom(0, 1, 60_000),
    })
    const storm = fc.array(plan, { minLength: 50, maxLength: 250 })
    await fc.assert(
      fc.asyncProperty(
        storm,
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 40 }),
        async (plans, cap, queue) => {
          using slots = createMemorySlotLimiter()
          const inFlight = new Map<string, number>()
          let over = 0
          const run = async ({
            client,
            upload,
            abortAfter,
            workTurns,
            fails,
            startTurn,
            waitMs,
          }: (typeof plans)[number]) => {
            for (let i = 0; i < startTurn; i += 1) await turn()
            const stop = new AbortController()
            const direction = upload ? 'upload' : 'download'
            const key = `${direction}${client}`
            const aborting = abortAfter === null ? null : abortLater(stop, abortAfter)
            try {
              using _slot = await slots.acquire(
                request({ clientId: `c${client}`, direction, cap, queue, queueWaitMs: waitMs }),
                stop.signal,
              )
              const count = (inFlight.get(key) ?? 0) + 1
              inFlight.set(key, count)
              over = Math.max(over, count - cap)
              for (let i = 0; i < workTurns; i += 1) await turn()
              inFlight.set(key, (inFlight.get(key) ?? 0) - 1)
              if (fails) throw new Error('the disk failed')
            } catch {
              // Refused, aborted or failed: each frees what it had.
            }
            await aborting
          }
          await Promise.all(plans.map(run))
          expect(over).toBeLessThanOrEqual(0)
          for (const direction of ['upload', 'download'] as const) {
            expect([slots.inFlight(direction), slots.waiting(direction)]).toEqual([0, 0])
            // Nothing is lost: exactly the cap can be taken again.
            for (const client of [0, 1, 2]) expect(await takeable(slots, `c${client}`, direction, cap)).toBe(cap)
          }
        },
      ),
      { numRuns: 30 },
    )
  })

  test('a storm without refusals is served completely', async () => {
    using slots = createMemorySlotLimiter()
    let served = 0
    const watch = { now: 0, most: 0 }
    const work = async () => {
      served += 1
      for (let i = 0; i < served % 3; i += 1) await turn()
    }
    await Promise.all(Array.from({ length: 400 }, () => transfer(slots, request({ cap: 5 }), watch, work)))
    expect([served, watch.most]).toEqual([400, 5])
  })
})

async function abortLater(stop: AbortController, turns: number): Promise<void> {
  for (let i = 0; i < turns; i += 1) await turn()
  stop.abort(new Error('gone'))
}

async function takeable(
  slots: MemorySlotLimiter,
  clientId: string,
  direction: 'upload' | 'download',
  cap: number,
): Promise<number> {
  const taken: TransferSlot[] = []
  const ask = request({ clientId, direction, cap, queue: 0 })
  for (let i = 0; i < cap + 1; i += 1) {
    const slot = await slots.acquire(ask, NEVER).catch(() => null)
    if (slot) taken.push(slot)
  }
  for (const slot of taken) slot[Symbol.dispose]()
  return taken.length
}

describe('refusals', () => {
  test('a slot freed in the very turn in which the first in line goes away is not lost', async () => {
    using slots = createMemorySlotLimiter()
    const held = await slots.acquire(request({ cap: 1 }), NEVER)
    const stop = new AbortController()
    const leaving = slots.acquire(request({ cap: 1 }), stop.signal)
    const next = slots.acquire(request({ cap: 1 }), NEVER)
    stop.abort(new Error('gone'))
    held[Symbol.dispose]()
    await expect(leaving).rejects.toThrow('gone')
    expect(slots.held('subject:a', 'download')).toBe(1)
    ;(await next)[Symbol.dispose]()
    expect(slots.held('subject:a', 'download')).toBe(0)
  })

  test('a slot granted in the turn in which its taker goes away is freed by the taker', async () => {
    using slots = createMemorySlotLimiter()
    const held = await slots.acquire(request({ cap: 1 }), NEVER)
    const stop = new AbortController()
    const waiting = slots.acquire(request({ cap: 1 }), stop.signal)
    held[Symbol.dispose]()
    stop.abort(new Error('gone'))
    ;(await waiting)[Symbol.dispose]()
    expect(slots.held('subject:a', 'download')).toBe(0)
  })
})

describe('separation and ends', () => {
  test('a stopping server refuses who waits and who comes, and lets the others finish', async () => {
    const slots = createMemorySlotLimiter()
    const held = await slots.acquire(request({ cap: 1 }), NEVER)
    const waiting = slots.acquire(request({ cap: 1 }), NEVER)
    slots.close()
    await expect(waiting).rejects.toMatchObject({ code: 'shutting_down' })
    await expect(slots.acquire(request(), NEVER)).rejects.toMatchObject({ code: 'shutting_down' })
    expect(held.signal.aborted).toBe(false)
    slots[Symbol.dispose]()
    expect(held.signal.aborted).toBe(true)
  })
})

describe('threat 71: a revoked credential', () => {
  function world() {
    const live = createLiveConfig(parseConfig({}))
    const state = { holds: true }
    const credential: ClientCredential = { fingerprint: 'f', takenBy: live.current, holdsIn: async () => state.holds }
    const sessions = createSessions(live)
    const slots = watchCredentials(createMemorySlotLimiter(), sessions)
    const reload = async () => {
      live.apply(parseConfig({ log: { level: 'debug' } }))
      await turn()
    }
    return { state, credential, sessions, slots, reload }
  }

  test('loses its slot, and its position in the queue', async () => {
    const { state, credential, sessions, slots, reload } = world()
    using held = await slots.acquire(request({ cap: 1, credential }), NEVER)
    const waiting = slots.acquire(request({ cap: 1, credential }), NEVER)
    await reload()
    expect(held.signal.aborted).toBe(false)
    state.holds = false
    const [refused] = await Promise.allSettled([waiting, reload()])
    expect(refused).toMatchObject({ status: 'rejected', reason: { code: 'unauthorized' } })
    expect(held.signal.reason).toMatchObject({ code: 'unauthorized' })
    expect(sessions.size).toBe(0)
  })

  test('loses a slot it asked for after the reload that revoked it', async () => {
    const { state, credential, slots, reload } = world()
    state.holds = false
    await reload()
    using held = await slots.acquire(request({ credential }), NEVER)
    await turn()
    expect(held.signal.aborted).toBe(true)
  })

  test('is forgotten with its last transfer', async () => {
    const { credential, sessions, slots } = world()
    const held = await slots.acquire(request({ credential }), NEVER)
    expect(sessions.size).toBe(1)
    held[Symbol.dispose]()
    expect(sessions.size).toBe(0)
    await slots.acquire(request({ credential }), AbortSignal.abort(new Error('gone'))).catch(() => undefined)
    expect(sessions.size).toBe(0)
  })
})
