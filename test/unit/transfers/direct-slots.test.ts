import { expect, test } from 'vitest'

import { DirectSlots } from '../../../src/server/transfers/direct/direct-access.ts'
import type { TransferSlot } from '../../../src/server/limits/limiter.ts'
import { createMemoryChangeFeed } from '../../../src/server/change-feed/memory.ts'
import { eventually } from '../../support/eventually.ts'

function slot(): TransferSlot & { readonly freed: () => boolean; readonly takeAway: () => void } {
  const taken = new AbortController()
  let isFree = false
  return {
    signal: taken.signal,
    freed: () => isFree,
    takeAway: () => taken.abort(new Error('taken away')),
    [Symbol.dispose]: () => void (isFree = true),
  }
}

const HOUR_MS = 3_600_000
/** Long enough for everything that is woken to have been looked at. */
const settled = () => new Promise(resolve => void setTimeout(resolve, 30))

test('a slot is free at once where its transfer ends, and soon on every other node', async () => {
  const feed = createMemoryChangeFeed()
  using here = new DirectSlots(feed)
  using elsewhere = new DirectSlots(feed)
  const [own, other] = [slot(), slot()]
  here.hold('a', own, HOUR_MS)
  elsewhere.hold('a', other, HOUR_MS)
  here.end('a')
  expect(own.freed()).toBe(true)
  await eventually('the other node has heard', other.freed)
})

test('a slot lapses with its addresses', async () => {
  using slots = new DirectSlots(createMemoryChangeFeed())
  const held = slot()
  slots.hold('a', held, 20)
  expect(held.freed()).toBe(false)
  await eventually('it has lapsed', held.freed)
})

test('being woken because messages may be lost frees nothing; an end that is heard then does', async () => {
  const feed = createMemoryChangeFeed()
  using slots = new DirectSlots(feed)
  const held = slot()
  slots.hold('a', held, HOUR_MS)
  for (let doubt = 0; doubt < 3; doubt += 1) {
    feed.announceAll()
    await settled()
    expect(held.freed()).toBe(false)
  }
  feed.announce('direct/a')
  await eventually('it is free', held.freed)
})

test('holding again for the same transfer frees the first slot', () => {
  using slots = new DirectSlots(createMemoryChangeFeed())
  const [first, second] = [slot(), slot()]
  slots.hold('a', first, HOUR_MS)
  slots.hold('a', second, HOUR_MS)
  expect([first.freed(), second.freed()]).toEqual([true, false])
})

test('a slot that is taken away, and all when the server stops, are let go', async () => {
  const slots = new DirectSlots(createMemoryChangeFeed())
  const [taken, stopped] = [slot(), slot()]
  slots.hold('a', taken, HOUR_MS)
  slots.hold('b', stopped, HOUR_MS)
  taken.takeAway()
  await eventually('the first is free', taken.freed)
  expect(stopped.freed()).toBe(false)
  slots[Symbol.dispose]()
  await eventually('the second is free', stopped.freed)
})
