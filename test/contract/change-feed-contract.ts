/** What every ChangeFeed does. What one node announces, all hear; a feed of one process is its only node. */
import { expect, test } from 'vitest'

import type { ChangeFeed } from '../../src/server/change-feed/change-feed.ts'
import { steady } from '../support/blob-bytes.ts'

export interface ChangeFeeds extends AsyncDisposable {
  readonly feeds: readonly [ChangeFeed, ...ChangeFeed[]]
  /** One that is in doubt whether it hears wakes everyone, which a busy machine may bring about. */
  readonly mayWakeTooMany?: boolean
}

const LONG_MS = 60_000

export function changeFeedContract(open: () => Promise<ChangeFeeds>): void {
  const ends = (feeds: ChangeFeeds['feeds']) => ({ here: feeds[0], there: feeds.at(-1) ?? feeds[0] })

  test('wakes all listeners of a topic, and no others', async () => {
    await using world = await open()
    const { here, there } = ends(world.feeds)
    using first = here.listen('a')
    using second = there.listen('a')
    using other = there.listen('b')
    const woken = [first.next(LONG_MS, steady()), second.next(LONG_MS, steady())]
    here.announce('a')
    expect(await Promise.all(woken)).toEqual([true, true])
    expect(world.mayWakeTooMany || !(await other.next(1, steady()))).toBe(true)
  })

  test('does not miss an announcement between listening and waiting, and reports it once', async () => {
    await using world = await open()
    const { here, there } = ends(world.feeds)
    using listener = there.listen('a')
    here.announce('a')
    here.announce('a')
    expect(await listener.next(LONG_MS, steady())).toBe(true)
    expect(world.mayWakeTooMany || !(await listener.next(1, steady()))).toBe(true)
    here.announce('a')
    expect(await listener.next(LONG_MS, steady())).toBe(true)
  })

  test('gives up after the time it was given, or with the reason of the signal', async () => {
    await using world = await open()
    using listener = world.feeds[0].listen('a')
    expect(await listener.next(1, steady())).toBe(false)
    const controller = new AbortController()
    const waiting = listener.next(LONG_MS, controller.signal)
    const reason = new Error('enough')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    await expect(listener.next(LONG_MS, controller.signal)).rejects.toBe(reason)
  })

  test('receives nothing once it is disposed, and a pending wait ends', async () => {
    await using world = await open()
    const { here, there } = ends(world.feeds)
    const listener = there.listen('a')
    const waiting = listener.next(LONG_MS, steady())
    listener[Symbol.dispose]()
    here.announce('a')
    expect(await waiting).toBe(false)
  })

  test('serves listeners that come after the last one left', async () => {
    await using world = await open()
    const { here, there } = ends(world.feeds)
    there.listen('a')[Symbol.dispose]()
    using later = there.listen('a')
    there.listen('a')[Symbol.dispose]()
    here.announce('a')
    expect(await later.next(LONG_MS, steady())).toBe(true)
  })

  test('many topics at once are all told', async () => {
    await using world = await open()
    const { here, there } = ends(world.feeds)
    using stack = new DisposableStack()
    const listeners = Array.from({ length: 3000 }, (_, index) => stack.use(there.listen(`topic ${index}`)))
    const woken = listeners.map(listener => listener.next(LONG_MS, steady()))
    for (let index = 0; index < 3000; index += 1) here.announce(`topic ${index}`)
    expect((await Promise.all(woken)).every(Boolean)).toBe(true)
  })
}
