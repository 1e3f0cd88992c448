/** What every RateLimiter does. A cluster's nodes are asked in turn; a limiter of one process is its only node. */
import { setTimeout as sleep } from 'node:timers/promises'

import { expect, test } from 'vitest'

import type { RateLimiter } from '../../src/server/limits/limiter.ts'

export interface RateLimiters extends AsyncDisposable {
  /** All of them count the same. */
  readonly limiters: readonly [RateLimiter, ...RateLimiter[]]
}

/** So slow that nothing comes back during a test. */
const NEVER_AGAIN = 0.001

export function rateLimiterContract(open: () => Promise<RateLimiters>): void {
  test('in a storm, never more than the burst is taken; when the dust settles, all of it was', async () => {
    await using world = await open()
    const { limiters } = world
    const rate = { perSecond: NEVER_AGAIN, burst: 100 }
    const take = async (index: number) => (limiters[index % limiters.length] ?? limiters[0]).take('a', 1, rate)
    const takes = await Promise.all(Array.from({ length: 300 }, (_, index) => take(index)))
    expect(takes.filter(({ ok }) => ok)).toHaveLength(100)
    for (const limiter of limiters) expect((await limiter.take('a', 1, rate)).ok).toBe(false)
  })

  test('a burst is there at once; a refusal says when there is more, and then there is', async () => {
    await using world = await open()
    const [first] = world.limiters
    const last = world.limiters.at(-1) ?? first
    const rate = { perSecond: 20, burst: 2 }
    for (let index = 0; index < 2; index += 1) expect((await first.take('a', 1, rate)).ok).toBe(true)
    const refused = await last.take('a', 1, rate)
    if (refused.ok) throw new Error('it was taken')
    expect(refused.retryAfterMs).toBeGreaterThan(0)
    expect(refused.retryAfterMs).toBeLessThanOrEqual(50)
    await sleep(refused.retryAfterMs + 2)
    expect((await last.take('a', 1, rate)).ok).toBe(true)
  })

  test('keys do not take from each other; 0 is no limit; a cost above the burst is possible', async () => {
    await using world = await open()
    const [limiter] = world.limiters
    const rate = { perSecond: NEVER_AGAIN, burst: 1 }
    const take = async (key: string, cost = 1) => (await limiter.take(key, cost, rate)).ok
    expect([await take('a'), await take('b'), await take('a')]).toEqual([true, true, false])
    expect(limiter.take('c', 1, { perSecond: 0, burst: 1 })).toEqual({ ok: true })
    expect(limiter.charge('c', 10_000, { perSecond: 0, burst: 0 })).toBe(0)
    expect([await take('d', 50), await take('d', 50)]).toEqual([true, false])
  })

  test('streams that pause as long as they must share the rate, whatever their chunks', async () => {
    await using world = await open()
    const { limiters } = world
    const rate = { perSecond: 100_000, burst: 20_000 }
    const began = performance.now()
    let moved = 0
    let mostOver = -Infinity
    const stream = async (limiter: RateLimiter, chunk: number) => {
      while (performance.now() - began < 600) {
        const pauseMs = await limiter.charge('a', chunk, rate)
        if (pauseMs > 0) await sleep(pauseMs)
        moved += chunk
        const allowed = rate.burst + ((performance.now() - began) / 1000) * rate.perSecond
        mostOver = Math.max(mostOver, moved - allowed)
      }
    }
    const chunks = [500, 3000, 7000, 1100]
    await Promise.all(chunks.map((chunk, index) => stream(limiters[index % limiters.length] ?? limiters[0], chunk)))
    // Timers may fire a moment early.
    expect(mostOver).toBeLessThanOrEqual(rate.perSecond / 500)
    // No stream starves: far more than the burst has moved.
    expect(moved).toBeGreaterThan(1.5 * rate.burst)
  })
}
