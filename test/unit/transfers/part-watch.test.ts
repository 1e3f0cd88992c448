import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import { createMemoryChangeFeed } from '../../../src/server/change-feed/memory.ts'
import { PartWatch } from '../../../src/server/transfers/upload/exclusive-part.ts'
import { eventually } from '../../support/eventually.ts'

const pointless = new SealiftError('gone', 'The upload is over, says the test')

const watchWith = (why: () => Promise<SealiftError | null>) => {
  const feed = createMemoryChangeFeed()
  return { feed, watch: new PartWatch({ feed, topics: ['a', 'b'], why }) }
}

describe('the watch over a part that is received', () => {
  test.each(['a', 'b'])('aborts with what the records say, once %s is announced', async topic => {
    const { feed, watch } = watchWith(() => Promise.resolve(pointless))
    using _ = watch
    expect(watch.signal.aborted).toBe(false)
    feed.announce(topic)
    await eventually('it aborts', () => watch.signal.aborted)
    expect(watch.signal.reason).toBe(pointless)
  })

  test('does not take a hint for the truth', async () => {
    let looks = 0
    const { feed, watch } = watchWith(() => {
      looks += 1
      return looks === 1 ? Promise.resolve(null) : Promise.reject(new Error('The records do not respond'))
    })
    using _ = watch
    feed.announceAll()
    await eventually('it has looked', () => looks === 1)
    feed.announceAll()
    await eventually('it has looked again', () => looks === 2)
    expect(watch.signal.aborted).toBe(false)
  })

  test('looks once for many announcements at a time, and not at all without one', async () => {
    let looks = 0
    const { feed, watch } = watchWith(() => {
      looks += 1
      return Promise.resolve(null)
    })
    using _ = watch
    await sleep(20)
    expect(looks).toBe(0)
    for (let count = 0; count < 50; count++) {
      feed.announceAll()
      await nextTurn()
    }
    await eventually('it looks for what came meanwhile', () => looks === 2)
    await sleep(100)
    expect(looks).toBe(2)
  })

  test('listens no more once it is disposed', async () => {
    const { feed, watch } = watchWith(() => Promise.resolve(pointless))
    expect(feed.hasListeners).toBe(true)
    watch[Symbol.dispose]()
    await eventually('no listener is left', () => !feed.hasListeners)
    expect(watch.signal.aborted).toBe(false)
  })
})
