import { afterEach, describe, expect, it } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import { type DatabaseClock, followDatabaseClock } from '../../../src/server/records/database-clock.ts'
import { eventually } from '../../support/eventually.ts'

const NOON = 1_800_000_000_000

describe('the clock of a node that follows its database', () => {
  /** ms since the machine was started, and the time of the database at that moment. */
  let machine = 1000
  let database = NOON
  /** How long a query and its result travel. */
  let thereMs = 0
  let backMs = 0
  let away = false
  let looks = 0
  const pass = (ms: number) => {
    machine += ms
    database += ms
  }
  const records = {
    async databaseTime() {
      if (away) throw new SealiftError('unavailable', 'away')
      pass(thereMs)
      const time = database
      pass(backMs)
      looks += 1
      return time
    },
  }
  const clocks: DatabaseClock[] = []
  const follow = async (everyMs = 1_000_000) => {
    const clock = await followDatabaseClock(records, { everyMs, monotonic: () => machine })
    clocks.push(clock)
    return clock
  }
  const nextLook = async () => {
    const before = looks
    await eventually('it looks again', () => looks > before + 1)
  }

  afterEach(() => {
    for (const clock of clocks.splice(0)) clock[Symbol.dispose]()
    ;[thereMs, backMs, away] = [0, 0, false]
  })

  it('returns the time of the database, and follows the machine between two queries', async () => {
    const { now } = await follow()
    expect(now()).toBe(database)
    pass(12_345)
    expect(now()).toBe(database)
  })

  it('is never ahead, however slow the result is', async () => {
    ;[thereMs, backMs] = [3, 4000]
    const { now } = await follow()
    expect(now()).toBeLessThanOrEqual(database)
    expect(now()).toBeGreaterThanOrEqual(database - 4003)
  })

  it('keeps a good look when a worse one agrees with it', async () => {
    const { now } = await follow(1)
    ;[thereMs, backMs] = [500, 500]
    await nextLook()
    expect(now()).toBe(database)
  })

  it('goes along when the database steps back or forward, as after a failover', async () => {
    const { now } = await follow(1)
    database -= 300_000
    await nextLook()
    expect(now()).toBe(database)
    database += 600_000
    await nextLook()
    expect(now()).toBe(database)
  })

  it('needs the database to begin, and goes on without it', async () => {
    away = true
    await expect(follow()).rejects.toMatchObject({ code: 'unavailable' })
    away = false
    const { now } = await follow(1)
    away = true
    pass(5000)
    expect(now()).toBe(database)
  })
})
