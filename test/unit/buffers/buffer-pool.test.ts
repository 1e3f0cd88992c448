import { expect, it } from 'vitest'

import { BufferPool } from '../../../src/server/buffers/buffer-pool.ts'

const KIB = 1024

it('gives large buffers until the budget is spent, then spare ones, and large ones again when they come back', () => {
  const pool = new BufferPool(512 * KIB)
  const [first, second, third] = [pool.take(2 ** 20), pool.take(2 ** 20), pool.take(2 ** 20)]
  expect([first.length, second.length, third.length]).toEqual([256 * KIB, 256 * KIB, 32 * KIB])
  expect(pool.tryTake()).toBeNull()
  pool.release(first)
  expect(pool.take(2 ** 20)).toBe(first)
})

it('gives a small buffer to a small read, whatever the budget', () => {
  expect(new BufferPool(0).take(64 * KIB).length).toBe(64 * KIB)
  expect(new BufferPool(2 ** 30).take(1).length).toBe(32 * KIB)
})

it('never gives a discarded buffer again, and makes another one in its place', () => {
  const pool = new BufferPool(256 * KIB)
  const lost = pool.take(2 ** 20)
  pool.discard(lost)
  const next = pool.take(2 ** 20)
  expect(next).not.toBe(lost)
  expect(next.length).toBe(256 * KIB)
})
