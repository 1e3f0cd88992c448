import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { RequestMemory, type HeldMemory } from '../../../src/server/buffers/request-memory.ts'
import { eventually } from '../../support/eventually.ts'

const KiB = 1024
const never = new AbortController().signal
const settings = { bytes: 1024 * KiB, bytesPerClient: 512 * KiB, queue: 4, queueWaitMs: 60_000 }
const make = (over: Partial<typeof settings> = {}) => new RequestMemory(() => ({ ...settings, ...over }))

describe('memory of requests', () => {
  it('is never more than the budgets, and all of it comes back', async () => {
    const step = fc.record({
      client: fc.constantFrom('one', 'two', 'three'),
      bytes: fc.integer({ min: 1, max: 600 * KiB }),
      abort: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async steps => {
        const memory = make({ queue: 100 })
        const held = new Map<string, number>()
        const running = steps.map(async ({ client, bytes, abort }) => {
          const controller = new AbortController()
          const taking = memory.take(client, bytes, controller.signal)
          if (abort) controller.abort(new Error('gone'))
          const room = await taking.catch(() => null)
          if (!room) return
          const claimed = Math.min(bytes, (settings.bytesPerClient * 3) / 4)
          held.set(client, (held.get(client) ?? 0) + claimed)
          expect(held.get(client)).toBeLessThanOrEqual(settings.bytesPerClient)
          expect(memory.heldBytes).toBeLessThanOrEqual(settings.bytes)
          await Promise.resolve()
          held.set(client, (held.get(client) ?? 0) - claimed)
          room[Symbol.dispose]()
          room[Symbol.dispose]()
        })
        await Promise.all(running)
        expect([memory.heldBytes, memory.clients]).toEqual([0, 0])
      }),
    )
  })

  it('of one client does not run out for another, nor for small requests of the same', async () => {
    const memory = make({ queueWaitMs: 0 })
    using _large = await memory.take('one', 300 * KiB, never)
    await expect(memory.take('one', 300 * KiB, never)).rejects.toMatchObject({
      code: 'rate_limited',
      context: { limit: 'buffers.bytesPerClient', value: settings.bytesPerClient, remaining: 0 },
    })
    using _other = await memory.take('two', 300 * KiB, never)
    using _small = await memory.take('one', 64 * KiB, never)
    await expect(memory.take('three', 300 * KiB, never)).rejects.toMatchObject({
      code: 'unavailable',
      context: { limit: 'buffers.bytes', value: settings.bytes, remaining: 0 },
    })
    using _smallOfThird = await memory.take('three', 64 * KiB, never)
  })

  it('is waited for by so many only, in order', async () => {
    const memory = make({ queue: 2 })
    const first = await memory.take('one', 300 * KiB, never)
    const order: number[] = []
    const waiting = [1, 2].map(async at => {
      using _room = await memory.take('one', 300 * KiB, never)
      order.push(at)
    })
    await expect(memory.take('one', 300 * KiB, never)).rejects.toMatchObject({ code: 'rate_limited' })
    first[Symbol.dispose]()
    await Promise.all(waiting)
    expect(order).toEqual([1, 2])
    expect(memory.heldBytes).toBe(0)
  })

  it('lets a request larger than a share run alone, beside small ones', async () => {
    const memory = make()
    using _huge = await memory.take('one', 64 * 1024 * KiB, never)
    expect(memory.heldBytes).toBe((settings.bytes * 3) / 4)
    using _small = await memory.take('one', KiB, never)
    let second: HeldMemory | null = null
    const taking = memory.take('one', 64 * 1024 * KiB, never).then(room => (second = room))
    await Promise.resolve()
    expect(second).toBeNull()
    _huge[Symbol.dispose]()
    ;(await taking)[Symbol.dispose]()
  })

  it('is given by the settings in force', async () => {
    let bytesPerClient = 64 * KiB
    const memory = new RequestMemory(() => ({ ...settings, bytesPerClient, queueWaitMs: 0 }))
    const rooms = [await memory.take('one', 64 * KiB, never)]
    await expect(memory.take('one', 64 * KiB, never)).rejects.toMatchObject({ code: 'rate_limited' })
    bytesPerClient = 128 * KiB
    rooms.push(await memory.take('one', 64 * KiB, never))
    for (const room of rooms) room[Symbol.dispose]()
    await eventually('all memory is released', () => memory.heldBytes === 0)
  })
})

describe('shared memory of requests', () => {
  const shared = { key: 'parcel 1', bytes: 300 * KiB }

  it('is taken once of the common budget and of each client, until the last user is done', async () => {
    const memory = make({ queueWaitMs: 0 })
    const rooms = await Promise.all(
      ['one', 'one', 'two', 'two', 'three'].map(client => memory.takeShared(client, shared, never)),
    )
    expect(memory.heldBytes).toBe(300 * KiB)
    await expect(memory.take('two', 300 * KiB, never)).rejects.toMatchObject({ code: 'rate_limited' })
    for (const room of rooms.slice(0, 4)) room[Symbol.dispose]()
    expect(memory.heldBytes).toBe(300 * KiB)
    using _two = await memory.take('two', 300 * KiB, never)
    for (const room of rooms) room[Symbol.dispose]()
    expect(memory.heldBytes).toBe(300 * KiB)
    expect(memory.clients).toBe(1)
  })

  it('is taken by another user when the first one gives up its wait', async () => {
    const memory = make()
    const blocker = await memory.take('one', 300 * KiB, never)
    const controller = new AbortController()
    const first = memory.takeShared('one', shared, controller.signal)
    const second = memory.takeShared('one', shared, never)
    controller.abort(new Error('gone'))
    await expect(first).rejects.toThrow('gone')
    blocker[Symbol.dispose]()
    ;(await second)[Symbol.dispose]()
    expect([memory.heldBytes, memory.clients]).toEqual([0, 0])
  })
})
