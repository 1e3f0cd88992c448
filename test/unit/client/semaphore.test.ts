import { expect, test } from 'vitest'

import { Semaphore } from '../../../src/client/concurrency/semaphore.ts'

const SIGNAL = new AbortController().signal

test('no more units are out than there are, first come, first served', async () => {
  const semaphore = new Semaphore(10)
  const order: string[] = []
  const first = await semaphore.acquire(6, SIGNAL)
  const large = semaphore.acquire(9, SIGNAL).then(held => (order.push('large'), held))
  const small = semaphore.acquire(1, SIGNAL).then(held => (order.push('small'), held))
  await Promise.resolve()
  expect(semaphore.free).toBe(4)
  expect(order).toEqual([])
  first.release()
  await Promise.all([large, small])
  expect(order).toEqual(['large', 'small'])
  expect(semaphore.free).toBe(0)
})

test('releasing twice releases once', async () => {
  const semaphore = new Semaphore(2)
  const held = await semaphore.acquire(2, SIGNAL)
  held.release()
  held.release()
  expect(semaphore.free).toBe(2)
})

test('a request for more than the capacity gets the whole capacity', async () => {
  const semaphore = new Semaphore(3)
  await semaphore.acquire(100, SIGNAL)
  expect(semaphore.free).toBe(0)
})

test('an aborted request does not block those behind it', async () => {
  const semaphore = new Semaphore(2)
  const held = await semaphore.acquire(1, SIGNAL)
  const stop = new AbortController()
  const aborted = semaphore.acquire(2, stop.signal)
  const behind = semaphore.acquire(1, SIGNAL)
  stop.abort()
  await expect(aborted).rejects.toMatchObject({ code: 'aborted' })
  await behind
  held.release()
  expect(semaphore.free).toBe(1)
})
