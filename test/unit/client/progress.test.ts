import { expect, test } from 'vitest'

import { ProgressMeter } from '../../../src/client/progress.ts'
import type { Progress } from '../../../src/client/progress.ts'

function meterAt() {
  const time = { now: 0 }
  const reports: Progress[] = []
  const meter = new ProgressMeter({ now: () => time.now }, progress => reports.push(progress))
  return { time, reports, meter }
}

test('reports come at most ten times a second, and once at the end', () => {
  const { time, reports, meter } = meterAt()
  meter.add({ index: 0, name: 'a', totalBytes: 1000 })
  meter.begin(0)
  for (let step = 0; step < 1000; step += 1) {
    time.now += 1
    meter.moved(0, 1)
  }
  expect(reports.length).toBeLessThanOrEqual(11)
  meter.finish(0, 1000)
  meter.flush()
  expect(reports.at(-1)).toMatchObject({
    bytes: 1000,
    totalBytes: 1000,
    itemsDone: 1,
    items: 1,
    secondsLeft: 0,
    active: [],
  })
})

test('rate and time left follow from the last seconds', () => {
  const { time, reports, meter } = meterAt()
  meter.add({ index: 0, name: 'a', totalBytes: 10_000 })
  meter.begin(0)
  for (let second = 0; second < 4; second += 1) {
    time.now += 1000
    meter.moved(0, 1000)
  }
  expect(reports.at(-1)).toMatchObject({ bytes: 4000, bytesPerSecond: 1000, secondsLeft: 6 })
  time.now += 60_000
  meter.moved(0, 1)
  expect(reports.at(-1)?.bytesPerSecond).toBeLessThan(100)
})

test('what must be moved again is taken back, and padding is no byte of an item', () => {
  const { reports, meter } = meterAt()
  meter.add({ index: 3, name: 'a', totalBytes: 100 })
  meter.begin(3)
  meter.moved(3, 60)
  meter.moved(3, -60)
  meter.flush()
  expect(reports.at(-1)?.bytes).toBe(0)
  meter.moved(3, 130)
  meter.flush()
  expect(reports.at(-1)).toMatchObject({ bytes: 100, active: [{ index: 3, name: 'a', bytes: 100, totalBytes: 100 }] })
})

test('what was there already counts, but not as speed', () => {
  const { time, reports, meter } = meterAt()
  meter.add({ index: 0, name: 'a', totalBytes: 1000 })
  meter.begin(0)
  meter.found(0, 900)
  time.now += 1000
  meter.flush()
  expect(reports.at(-1)).toMatchObject({ bytes: 900, bytesPerSecond: 0, secondsLeft: null })
})

test('the total is unknown as long as that of one item is', () => {
  const { reports, meter } = meterAt()
  meter.add({ index: 0, name: 'a', totalBytes: 5 })
  meter.add({ index: 1, name: 'stream', totalBytes: null })
  meter.flush()
  expect(reports.at(-1)).toMatchObject({ totalBytes: null, secondsLeft: null })
  meter.finish(1, 7)
  meter.flush()
  expect(reports.at(-1)).toMatchObject({ totalBytes: 12, bytes: 7, itemsDone: 1 })
})
