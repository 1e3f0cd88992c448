import { describe, expect, test } from 'vitest'

import { MemoryRateLimiter } from '../../../src/server/limits/memory/rate-limiter.ts'
import { chargeFor, paceSink, paceSource } from '../../../src/server/limits/pacing.ts'

const NEVER = new AbortController().signal
const chunk = (size: number, value = 0) => new Uint8Array(size).fill(value)

async function* chunks(count: number, size: number, ended?: { value: boolean }): AsyncGenerator<Uint8Array> {
  try {
    for (let i = 0; i < count; i += 1) yield chunk(size, i)
  } finally {
    if (ended) ended.value = true
  }
}

/** A charge with the given pauses, and the bytes it was called with. */
function charging(pauses: readonly number[]) {
  const charged: number[] = []
  const charge = (bytes: number) => {
    charged.push(bytes)
    return pauses[charged.length - 1] ?? 0
  }
  return { charge, charged }
}

describe('charges', () => {
  const tier = { uploadBytesPerSecond: 100, downloadBytesPerSecond: 0 }

  test('a tier without a byte rate costs nothing at all', () => {
    expect(chargeFor(new MemoryRateLimiter(), { clientId: 'a', tier, direction: 'download' })).toBeNull()
  })

  test('transfers of one client share the rate of their direction', () => {
    const rates = new MemoryRateLimiter({ now: () => 0 })
    const one = chargeFor(rates, { clientId: 'a', tier, direction: 'upload' })
    const other = chargeFor(rates, { clientId: 'a', tier, direction: 'upload' })
    const stranger = chargeFor(rates, { clientId: 'b', tier, direction: 'upload' })
    expect([one?.(100, NEVER), other?.(50, NEVER), stranger?.(100, NEVER)]).toEqual([0, 500, 0])
  })
})

describe('sources', () => {
  test('all bytes come through, each charged before it moves', async () => {
    const { charge, charged } = charging([0, 3, 0, 3])
    const seen: number[] = []
    for await (const bytes of paceSource(chunks(4, 10), charge, NEVER)) seen.push(bytes[0] ?? -1)
    expect(seen).toEqual([0, 1, 2, 3])
    expect(charged).toEqual([10, 10, 10, 10])
  })

  test('a pause takes as long as the charge says', async () => {
    const began = performance.now()
    for await (const _ of paceSource(chunks(2, 1), () => 30, NEVER)) continue
    expect(performance.now() - began).toBeGreaterThan(55)
  })

  test('an abort ends a pause with its reason, and the source', async () => {
    const stop = new AbortController()
    const ended = { value: false }
    const reason = new Error('gone')
    const paced = paceSource(chunks(2, 1, ended), () => 60_000, stop.signal)
    const next = paced.next()
    setImmediate(() => stop.abort(reason))
    await expect(next).rejects.toBe(reason)
    expect(ended.value).toBe(true)
  })

  test('leaving early ends the source', async () => {
    const ended = { value: false }
    for await (const _ of paceSource(chunks(9, 1, ended), () => 0, NEVER)) break
    expect(ended.value).toBe(true)
  })
})

describe('sinks', () => {
  test('writes that need no pause go straight through', () => {
    const written: number[] = []
    const sink = paceSink({ write: bytes => void written.push(bytes[0] ?? -1) }, () => 0, NEVER)
    expect(sink.write(chunk(1, 7))).toBeUndefined()
    expect(written).toEqual([7])
  })

  test('two writes at once keep their order, whatever their pauses', async () => {
    const written: number[] = []
    const { charge } = charging([25, 0, 10, 0])
    const sink = paceSink({ write: async bytes => void written.push(bytes[0] ?? -1) }, charge, NEVER)
    await Promise.all([0, 1, 2, 3].map(async value => sink.write(chunk(1, value))))
    expect(written).toEqual([0, 1, 2, 3])
    await sink.write(chunk(1, 4))
    expect(written).toEqual([0, 1, 2, 3, 4])
  })

  test('a failing sink fails the write, and those behind it', async () => {
    const sink = paceSink({ write: () => Promise.reject(new Error('broken')) }, () => 1, NEVER)
    const writes = [1, 2].map(async value => sink.write(chunk(value)))
    const results = await Promise.allSettled(writes)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})
