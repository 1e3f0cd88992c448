import { expect, test } from 'vitest'

import { freshStats, LoadTiming } from '../../../../src/video/player/load-timing.ts'

/** What hls.js makes of a load: bits per second; `null` when it does not count it. */
function measured(load: (timing: LoadTiming, pass: (ms: number) => void) => void): number | null {
  let now = 1000
  const stats = freshStats()
  const timing = new LoadTiming(stats, () => now)
  timing.start()
  load(timing, ms => (now += ms))
  timing.end()
  expect(stats.total).toBe(stats.loaded)
  const { start, first, end } = stats.loading
  expect(first).toBe(start)
  return stats.loaded > 0 ? (stats.loaded * 8000) / (end - start) : null
}

test('what comes over the network counts with all the time it took', () => {
  const bitsPerSecond = measured((timing, pass) => {
    pass(300)
    timing.fetched(100_000)
    pass(200)
    timing.fetched(25_000)
  })
  expect(bitsPerSecond).toBe(2_000_000)
})

test('a cached segment says nothing about the bandwidth', () => {
  expect(measured((_, pass) => pass(1))).toBeNull()
})
