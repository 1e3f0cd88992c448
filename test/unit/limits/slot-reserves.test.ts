import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { type SlotLease, SlotReserves } from '../../../src/server/limits/valkey/cached-slots.ts'
import type { Ask, Answer } from '../../../src/server/limits/valkey/slot-script-client.ts'
import { ANSWER } from '../../../src/server/limits/valkey/slot-script.ts'

const LINE = 'download:a'
const CAP = 8
const LEASE_MS = 9000
const SWEEP_MS = 100

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** A node whose Valkey answers as told, and that notes what is asked and dropped. */
function setUp() {
  const asked: string[] = []
  const dropped: string[] = []
  const state = { answer: ANSWER.granted as number, slowly: Promise.resolve(), made: 0 }
  const ledger = {
    async ask({ kind }: Partial<Ask> & Pick<Ask, 'kind'>): Promise<Answer> {
      asked.push(kind)
      await state.slowly
      return { code: state.answer, value: '0' }
    },
  }
  const reserves = new SlotReserves({
    ledger,
    leaseTtlMs: LEASE_MS,
    drop: (line, id) => {
      expect(line).toBe(LINE)
      dropped.push(id)
      asked.push('drop')
    },
  })
  const lease = (changes: Partial<SlotLease> = {}): SlotLease => {
    state.made += 1
    return { id: `me:${state.made}`, cap: CAP, confirmedAtMs: performance.now(), ...changes }
  }
  /** Ends as many transfers as make a reserve worth its while. */
  const becomeBusy = async () => {
    for (let end = 0; end < 4; end += 1) expect(reserves.keep(LINE, lease())).toBe(false)
    await turn()
  }
  return { reserves, state, asked, dropped, lease, becomeBusy }
}

const turn = async () => {
  for (let at = 0; at < 5; at += 1) await Promise.resolve()
}

describe('a slot whose transfer has ended', () => {
  test('goes back when few come, and Valkey is not asked for a reserve', async () => {
    const { reserves, asked, lease } = setUp()
    for (let second = 0; second < 5; second += 1) {
      for (let end = 0; end < 3; end += 1) expect(reserves.keep(LINE, lease())).toBe(false)
      vi.advanceTimersByTime(1000)
      await turn()
    }
    expect(asked).toEqual([])
    expect(reserves.take(LINE, CAP)).toBeNull()
  })

  test('is kept for the next one where many come, and is used once', async () => {
    const { reserves, asked, lease, becomeBusy } = setUp()
    await becomeBusy()
    expect(asked).toEqual(['keep'])
    const slot = lease()
    expect(reserves.keep(LINE, slot)).toBe(true)
    expect(reserves.take(LINE, CAP)).toBe(slot)
    expect(reserves.take(LINE, CAP)).toBeNull()
    expect(reserves.take('upload:a', CAP)).toBeNull()
  })

  test('is not kept when Valkey refuses, and it is not asked again for a second', async () => {
    const { reserves, state, asked, lease, becomeBusy } = setUp()
    state.answer = ANSWER.refused
    await becomeBusy()
    state.answer = ANSWER.granted
    vi.advanceTimersByTime(500)
    for (let end = 0; end < 20; end += 1) expect(reserves.keep(LINE, lease())).toBe(false)
    expect(asked).toEqual(['keep'])
    vi.advanceTimersByTime(501)
    await becomeBusy()
    expect(reserves.keep(LINE, lease())).toBe(true)
  })

  test('goes back when it was not needed, and then Valkey is told that none is kept', async () => {
    const { reserves, asked, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slots = [lease(), lease(), lease()]
    for (const slot of slots) reserves.keep(LINE, slot)
    vi.advanceTimersByTime(SWEEP_MS)
    // One is in use at any time until the next sweep.
    const used = reserves.take(LINE, CAP)
    expect(used).toBe(slots[2])
    vi.advanceTimersByTime(SWEEP_MS)
    expect(dropped).toEqual([slots[0]?.id, slots[1]?.id])
    expect(asked).toEqual(['keep', 'drop', 'drop', 'emptied'])
  })
})

describe('what is kept is given back', () => {
  test('all of it, when others need it, and none is kept for a second', async () => {
    const { reserves, asked, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slots = [lease(), lease()]
    for (const slot of slots) reserves.keep(LINE, slot)
    reserves.recall(LINE)
    expect(dropped).toEqual(slots.map(({ id }) => id))
    // In this order: who hears that none is kept must find them.
    expect(asked).toEqual(['keep', 'drop', 'drop', 'emptied'])
    expect(reserves.take(LINE, CAP)).toBeNull()
    vi.advanceTimersByTime(500)
    for (let end = 0; end < 20; end += 1) expect(reserves.keep(LINE, lease())).toBe(false)
    expect(asked).toHaveLength(4)
  })

  test('when others need it while Valkey is still asked whether any may be kept', async () => {
    const { reserves, state, asked, lease } = setUp()
    const { promise, resolve } = Promise.withResolvers<void>()
    state.slowly = promise
    for (let end = 0; end < 4; end += 1) reserves.keep(LINE, lease())
    reserves.recall(LINE)
    resolve()
    await turn()
    expect(asked).toEqual(['keep', 'emptied'])
    expect(reserves.keep(LINE, lease())).toBe(false)
  })

  test('when the cap was lowered since it was taken', async () => {
    const { reserves, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slot = lease()
    reserves.keep(LINE, slot)
    expect(reserves.take(LINE, CAP - 1)).toBeNull()
    expect(dropped).toEqual([slot.id])
  })

  test('when it could have lapsed while this node was paused', async () => {
    const { reserves, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slot = lease({ confirmedAtMs: performance.now() - (LEASE_MS * 2) / 3 })
    expect(reserves.keep(LINE, slot)).toBe(false)
    const fresh = lease()
    expect(reserves.keep(LINE, fresh)).toBe(true)
    // A paused process runs no timers.
    const pausedUntil = performance.now() + (LEASE_MS * 2) / 3
    vi.spyOn(performance, 'now').mockReturnValue(pausedUntil)
    expect(reserves.take(LINE, CAP)).toBeNull()
    expect(dropped).toEqual([fresh.id])
  })

  test('when Valkey does not let it stay among those who keep some', async () => {
    const { reserves, state, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slot = lease()
    reserves.keep(LINE, slot)
    const renewed: string[] = []
    state.answer = ANSWER.refused
    reserves.renew((_, { id }) => renewed.push(id))
    await turn()
    expect(renewed).toEqual([slot.id])
    expect(dropped).toEqual([slot.id])
  })

  test('not what Valkey says is lost: that is nobody’s any more', async () => {
    const { reserves, dropped, lease, becomeBusy } = setUp()
    await becomeBusy()
    const slot = lease()
    reserves.keep(LINE, slot)
    reserves.lose(LINE, slot.id)
    expect(reserves.take(LINE, CAP)).toBeNull()
    reserves.stop()
    expect(dropped).toEqual([])
  })
})
