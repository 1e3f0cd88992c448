import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { gcraCharge, gcraTake, MemoryRateLimiter } from '../../../src/server/limits/memory/rate-limiter.ts'

function limiterAt(start = 0, maxKeys = 1000) {
  const clock = { ms: start }
  return { clock, limiter: new MemoryRateLimiter({ now: () => clock.ms, maxKeys }) }
}

const arbitraryRate = fc.record({
  perSecond: fc.double({ min: 0.5, max: 10_000, noNaN: true }),
  burst: fc.integer({ min: 1, max: 5000 }),
})
const arrivals = fc.array(
  fc.record({ afterMs: fc.double({ min: 0, max: 500, noNaN: true }), cost: fc.integer({ min: 1, max: 50 }) }),
  { minLength: 1, maxLength: 200 },
)

describe('taking', () => {
  test('a burst is there at once, then as much as the rate allows', () => {
    const { clock, limiter } = limiterAt()
    const rate = { perSecond: 10, burst: 5 }
    const take = () => limiter.take('a', 1, rate).ok
    expect(Array.from({ length: 7 }, take)).toEqual([true, true, true, true, true, false, false])
    expect(limiter.take('a', 1, rate)).toEqual({ ok: false, retryAfterMs: 100 })
    clock.ms = 100
    expect([take(), take()]).toEqual([true, false])
    clock.ms = 10_000
    expect(Array.from({ length: 6 }, take)).toEqual([true, true, true, true, true, false])
  })

  test('keys do not take from each other; 0 is no limit; a cost above the burst is possible', () => {
    const { limiter } = limiterAt()
    const rate = { perSecond: 1, burst: 1 }
    expect([limiter.take('a', 1, rate).ok, limiter.take('b', 1, rate).ok, limiter.take('a', 1, rate).ok]).toEqual([
      true,
      true,
      false,
    ])
    for (let i = 0; i < 1000; i += 1) expect(limiter.take('c', 1, { perSecond: 0, burst: 1 }).ok).toBe(true)
    expect(limiter.take('d', 50, rate).ok).toBe(true)
    expect(limiter.take('d', 50, rate).ok).toBe(false)
  })

  test('property: in any span of time no more than burst + rate × time is taken, and waiting as told is enough', () => {
    fc.assert(
      fc.property(arbitraryRate, arrivals, (rate, requests) => {
        let fullAt = 0
        let now = 0
        const taken: { at: number; cost: number }[] = []
        for (const { afterMs, cost } of requests) {
          now += afterMs
          const asked = Math.min(cost, rate.burst)
          const outcome = gcraTake(fullAt, now, asked, rate)
          fullAt = outcome.fullAt
          if (outcome.ok) taken.push({ at: now, cost: asked })
          const later = now + outcome.waitMs + 1e-6
          expect(outcome.ok || gcraTake(fullAt, later, asked, rate).ok).toBe(true)
        }
        for (const [index, first] of taken.entries()) {
          let sum = 0
          for (const { at, cost } of taken.slice(index)) {
            sum += cost
            expect(sum).toBeLessThanOrEqual(rate.burst + ((at - first.at) / 1000) * rate.perSecond + 1e-3)
          }
        }
      }),
    )
  })
})

describe('charging', () => {
  test('property: who pauses as told never moves more than burst + rate × time, whatever the chunks', () => {
    fc.assert(
      fc.property(arbitraryRate, arrivals, (rate, chunks) => {
        let fullAt = 0
        let now = 0
        let moved = 0
        for (const { afterMs, cost } of chunks) {
          now += afterMs
          const { fullAt: next, waitMs } = gcraCharge(fullAt, now, cost, rate)
          fullAt = next
          now += waitMs
          moved += cost
          expect(moved).toBeLessThanOrEqual(rate.burst + (now / 1000) * rate.perSecond + 1e-3)
        }
      }),
    )
  })

  test('streams of one key share its rate', () => {
    const { limiter } = limiterAt()
    const rate = { perSecond: 1000, burst: 1000 }
    expect(limiter.charge('a', 1000, rate)).toBe(0)
    expect(limiter.charge('a', 500, rate)).toBe(500)
    expect(limiter.charge('a', 500, rate)).toBe(1000)
    expect(limiter.charge('b', 1000, rate)).toBe(0)
    expect(limiter.charge('a', 10_000, { perSecond: 0, burst: 0 })).toBe(0)
  })
})

describe('memory', () => {
  test('full buckets are forgotten as others come', () => {
    const { clock, limiter } = limiterAt()
    for (let i = 0; i < 500; i += 1) limiter.take(`a${i}`, 1, { perSecond: 1000, burst: 10 })
    expect(limiter.size).toBe(500)
    clock.ms = 1000
    for (let i = 0; i < 200; i += 1) limiter.take(`b${i}`, 1, { perSecond: 1000, burst: 10 })
    expect(limiter.size).toBeLessThanOrEqual(200)
  })

  test('a crowd of addresses cannot make it grow without end', () => {
    const { limiter } = limiterAt(0, 100)
    for (let i = 0; i < 10_000; i += 1) limiter.take(`a${i}`, 1, { perSecond: 0.001, burst: 1 })
    expect(limiter.size).toBeLessThanOrEqual(100)
    expect(limiter.take('a9999', 1, { perSecond: 0.001, burst: 1 }).ok).toBe(false)
  })

  test('dropping buckets changes nothing for clients in use', () => {
    fc.assert(
      fc.property(arrivals, requests => {
        const rate = { perSecond: 20, burst: 40 }
        const { clock, limiter } = limiterAt()
        let fullAt = 0
        for (const [index, { afterMs, cost }] of requests.entries()) {
          clock.ms += afterMs
          const expected = gcraTake(fullAt, clock.ms, cost, rate)
          fullAt = expected.fullAt
          expect(limiter.take('a', cost, rate).ok).toBe(expected.ok)
          for (let i = 0; i < 5; i += 1) limiter.take(`crowd ${index} ${i}`, 1, rate)
        }
      }),
    )
  })
})
