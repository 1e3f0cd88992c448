import { expect, it } from 'vitest'

import { createMemoryChangeFeed } from '../../../src/server/records/memory-change-feed.ts'
import { steady } from '../../support/blob-bytes.ts'

const LONG_MS = 60_000

it('wakes everyone who waits on a topic, and nobody else', async () => {
  const feed = createMemoryChangeFeed()
  using first = feed.listen('a')
  using second = feed.listen('a')
  using other = feed.listen('b')
  const woken = [first.next(LONG_MS, steady()), second.next(LONG_MS, steady())]
  feed.announce('a')
  expect(await Promise.all(woken)).toEqual([true, true])
  expect(await other.next(1, steady())).toBe(false)
})

it('does not miss what was announced between listening and waiting, and tells it once', async () => {
  const feed = createMemoryChangeFeed()
  using listener = feed.listen('a')
  feed.announce('a')
  feed.announce('a')
  expect(await listener.next(LONG_MS, steady())).toBe(true)
  expect(await listener.next(1, steady())).toBe(false)
  feed.announce('a')
  expect(await listener.next(LONG_MS, steady())).toBe(true)
})

it('gives up after the time it was given', async () => {
  using listener = createMemoryChangeFeed().listen('a')
  expect(await listener.next(5, steady())).toBe(false)
})

it('gives up with the reason of the signal', async () => {
  using listener = createMemoryChangeFeed().listen('a')
  const controller = new AbortController()
  const waiting = listener.next(LONG_MS, controller.signal)
  const reason = new Error('enough')
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await expect(listener.next(LONG_MS, controller.signal)).rejects.toBe(reason)
})

it('hears nothing once it is disposed, and tells whoever still waits', async () => {
  const feed = createMemoryChangeFeed()
  const listener = feed.listen('a')
  const waiting = listener.next(LONG_MS, steady())
  listener[Symbol.dispose]()
  feed.announce('a')
  expect(await waiting).toBe(false)
})

it('goes on for those who came after the last one left', async () => {
  const feed = createMemoryChangeFeed()
  feed.listen('a')[Symbol.dispose]()
  using later = feed.listen('a')
  const early = feed.listen('a')
  early[Symbol.dispose]()
  feed.announce('a')
  expect(await later.next(LONG_MS, steady())).toBe(true)
})
