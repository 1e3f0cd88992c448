import { describe, expect, test } from 'vitest'

import type { MonotonicClock } from '../../../src/client/concurrency/monotonic-clock.ts'
import { Retrier } from '../../../src/client/wire/retrier.ts'
import { SealiftError } from '../../../src/protocol/errors.ts'
import type { SealiftErrorCode } from '../../../src/protocol/errors.ts'

/** Time that passes only by sleeping, and at once. */
function fakeClock(): MonotonicClock & { readonly slept: number[] } {
  let now = 0
  const slept: number[] = []
  return {
    slept,
    now: () => now,
    sleep: (ms, signal) => {
      if (signal.aborted) return Promise.reject(new SealiftError('aborted', 'stopped'))
      slept.push(ms)
      now += ms
      return Promise.resolve()
    },
  }
}

const SIGNAL = new AbortController().signal

function failing(times: number, error: Error): { run: () => Promise<string>; calls: () => number } {
  let calls = 0
  return {
    run: () => {
      calls += 1
      return calls <= times ? Promise.reject(error) : Promise.resolve('done')
    },
    calls: () => calls,
  }
}

const broken = (code: SealiftErrorCode = 'network', retryAfterSeconds?: number): SealiftError =>
  new SealiftError(code, 'broken', retryAfterSeconds === undefined ? {} : { context: { retryAfterSeconds } })

describe('a request', () => {
  test('is repeated until it succeeds', async () => {
    const clock = fakeClock()
    const operation = failing(5, broken('unavailable'))
    expect(await new Retrier({ clock, random: () => 0.5 }).run(SIGNAL, operation.run)).toBe('done')
    expect(clock.slept).toEqual([125, 250, 500, 1000, 2000])
  })

  test('reports every pause: why, how long, and since when', async () => {
    const told: unknown[] = []
    const error = broken()
    const retrier = new Retrier({ clock: fakeClock(), random: () => 0.5, onRetry: event => told.push(event) })
    await retrier.run(SIGNAL, failing(3, error).run)
    expect(told).toEqual([
      { error, waitMs: 125, failingMs: 0 },
      { error, waitMs: 250, failingMs: 125 },
      { error, waitMs: 500, failingMs: 375 },
    ])
  })

  test('pauses at most as long as the cap, and at random below it', async () => {
    const clock = fakeClock()
    await new Retrier({ clock, random: () => 0.999, retry: { capMs: 300 } }).run(SIGNAL, failing(6, broken()).run)
    expect(Math.max(...clock.slept)).toBeLessThan(300)
    const lucky = fakeClock()
    await new Retrier({ clock: lucky, random: () => 0 }).run(SIGNAL, failing(6, broken()).run)
    expect(lucky.slept).toEqual([0, 0, 0, 0, 0, 0])
  })

  test('waits at least as long as the server asked', async () => {
    const clock = fakeClock()
    const operation = failing(1, broken('too_many_uploads', 7))
    await new Retrier({ clock, random: () => 0.5 }).run(SIGNAL, operation.run)
    expect(clock.slept).toEqual([7125])
  })

  test('is not repeated when the server asks for a longer wait than the retry time allows', async () => {
    const clock = fakeClock()
    const error = broken('rate_limited', 3600)
    const operation = failing(9, error)
    const retrier = new Retrier({ clock, random: () => 0.5, retry: { patienceMs: 1000 } })
    await expect(retrier.run(SIGNAL, operation.run)).rejects.toBe(error)
    expect(operation.calls()).toBe(1)
  })

  test.each(['too_large', 'quota_exceeded', 'not_found', 'gone', 'unauthorized', 'storage_full', 'aborted'] as const)(
    'is not repeated after %s',
    async code => {
      const error = broken(code)
      const operation = failing(9, error)
      await expect(new Retrier({ clock: fakeClock(), random: Math.random }).run(SIGNAL, operation.run)).rejects.toBe(
        error,
      )
      expect(operation.calls()).toBe(1)
    },
  )

  test('throws its last error when the retry time ends', async () => {
    const clock = fakeClock()
    let calls = 0
    const retrier = new Retrier({ clock, random: () => 0.5, retry: { patienceMs: 10_000 } })
    const run = retrier.run(SIGNAL, () => Promise.reject(new SealiftError('unavailable', `failure ${(calls += 1)}`)))
    const error: unknown = await run.catch((error: unknown) => error)
    expect(error).toMatchObject({ message: `failure ${calls}` })
    expect(calls).toBeGreaterThan(3)
    expect(clock.now()).toBeLessThanOrEqual(10_000)
  })

  test('has a shorter retry time at a server that has never responded: the URL is likely wrong', async () => {
    const stranger = fakeClock()
    const never = new Retrier({ clock: stranger, random: () => 0.5 }).run(SIGNAL, () => Promise.reject(broken()))
    await expect(never).rejects.toMatchObject({ code: 'network' })
    expect(stranger.now()).toBeLessThanOrEqual(5000)
    const known = fakeClock()
    const retrier = new Retrier({ clock: known, random: () => 0.5 })
    await retrier.run(SIGNAL, () => Promise.resolve())
    await expect(retrier.run(SIGNAL, () => Promise.reject(broken()))).rejects.toMatchObject({ code: 'network' })
    expect(known.now()).toBeGreaterThan(60_000)
  })

  test('has its full retry time again after bytes have moved', async () => {
    const clock = fakeClock()
    let calls = 0
    const retrier = new Retrier({ clock, random: () => 0.5, retry: { patienceMs: 1000 } })
    await retrier.run(SIGNAL, attempt => {
      calls += 1
      attempt.moved()
      return calls < 100 ? Promise.reject(broken()) : Promise.resolve()
    })
    expect(calls).toBe(100)
  })

  test('ends as soon as it is aborted, with the code for it', async () => {
    const stop = new AbortController()
    const clock = fakeClock()
    const run = new Retrier({ clock, random: () => 0.5 }).run(stop.signal, () => {
      stop.abort()
      return Promise.reject(broken())
    })
    await expect(run).rejects.toMatchObject({ code: 'aborted' })
    expect(clock.slept).toEqual([])
  })
})

test('all requests together repeat only so often', async () => {
  const clock = fakeClock()
  const retrier = new Retrier({ clock, random: () => 0, retry: { patienceMs: Number.MAX_SAFE_INTEGER } })
  let calls = 0
  const always = (): Promise<never> => {
    calls += 1
    return Promise.reject(broken())
  }
  await Promise.allSettled(Array.from({ length: 50 }, () => retrier.run(SIGNAL, always)))
  expect(calls).toBe(400 + 50)
})
