import { describe, expect, test } from 'vitest'

import { laneOf, ItemLanes } from '../../../src/client/concurrency/item-lanes.ts'
import type { Lane } from '../../../src/client/concurrency/item-lanes.ts'

const MIB = 1024 * 1024

/** Jobs that run until they are let go. */
function heldJobs(lanes: ItemLanes) {
  const running: { readonly lane: Lane; readonly end: () => void }[] = []
  let most = 0
  const start = (lane: Lane): Promise<void> =>
    lanes.run(lane, () => {
      const held = Promise.withResolvers<void>()
      running.push({ lane, end: held.resolve })
      most = Math.max(most, running.length)
      return held.promise
    })
  const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  return {
    start,
    most: () => most,
    running: (lane: Lane) => running.filter(job => job.lane === lane).length,
    async endOne(lane: Lane) {
      const [job] = running.splice(
        running.findIndex(job => job.lane === lane),
        1,
      )
      job?.end()
      await settle()
    },
    settle,
  }
}

describe('lanes', () => {
  test('give every kind of item a place, and never more than there are', async () => {
    const lanes = new ItemLanes({ small: 8, large: 2 })
    const jobs = heldJobs(lanes)
    const planned = (['tiny', 'middling', 'big', 'large'] as const).flatMap(lane =>
      Array.from({ length: 10 }, () => lane),
    )
    lanes.announce(planned)
    const all = planned.map(lane => jobs.start(lane))
    await jobs.settle()
    expect([jobs.running('tiny'), jobs.running('middling'), jobs.running('big'), jobs.running('large')]).toEqual([
      4, 2, 2, 2,
    ])
    expect(jobs.most()).toBe(10)
    while (jobs.running('tiny') > 0) await jobs.endOne('tiny')
    // The places of a lane that is through go to the others.
    expect([jobs.running('middling'), jobs.running('big')]).toEqual([4, 4])
    while (jobs.running('middling') > 0) await jobs.endOne('middling')
    expect(jobs.running('big')).toBe(8)
    while (jobs.running('big') > 0) await jobs.endOne('big')
    while (jobs.running('large') > 0) await jobs.endOne('large')
    await Promise.all(all)
    expect(jobs.most()).toBe(10)
  })

  test('go on when a job fails', async () => {
    const lanes = new ItemLanes({ small: 1, large: 1 })
    lanes.announce(['tiny', 'tiny'])
    await expect(lanes.run('tiny', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await lanes.run('tiny', () => Promise.resolve(1))).toBe(1)
  })

  test('are chosen by size; an item of unknown size may be large', () => {
    expect([0, 128 * 1024, MIB, 7 * MIB, 8 * MIB, null].map(bytes => laneOf(bytes, 8 * MIB))).toEqual([
      'tiny',
      'tiny',
      'middling',
      'big',
      'large',
      'large',
    ])
  })
})
