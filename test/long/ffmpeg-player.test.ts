import { afterAll, beforeAll, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { ladderItem, makeLadder } from '../support/ladder.ts'
import { openPlayerPage, withLine } from '../support/player-page.ts'
import type { PlayerTestPage } from '../support/player-page.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const SECONDS = 1800
const SEEKS = 100
const SPEED = 16
const OUTAGE_MS = 10_000
const MIB = 1024 * 1024

let server: TestServer
let proxy: FlakyProxy
let home: TempDirectory
let sealift: NodeSealift
let page: PlayerTestPage
let link: string

beforeAll(async () => {
  server = await startTestServer()
  proxy = await startFlakyProxy(server.url)
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: proxy.url })
  const sizes = [
    { height: 270, kbps: 900 },
    { height: 180, kbps: 300 },
    { height: 90, kbps: 100 },
  ]
  const ladder = await makeLadder(home.path, { seconds: SECONDS, segmentSeconds: 4, sizes })
  link = (await sealift.send([ladderItem(ladder)])).link
  page = await openPlayerPage()
}, 1_200_000)

afterAll(async () => {
  await page[Symbol.asyncDispose]()
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

test('half an hour of film is sought through', async () => {
  await page.play(link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  const waits: number[] = []
  for (let seek = 0; seek < SEEKS; seek += 1) {
    const target = (seek * 617.3) % (SECONDS - 2)
    const asked = performance.now()
    await page.run(`void (element.currentTime = ${target})`)
    await page.until(`it plays from ${target} s`, ({ seconds, readyState }) => readyState >= 3 && seconds > target)
    waits.push(performance.now() - asked)
  }
  console.log('seek, ms: median', median(waits), 'worst', Math.round(Math.max(...waits)))
  expect((await page.facts()).errors).toEqual([])
})

test('half an hour of film at 16 times the speed leaves the heap as it was', async () => {
  await page.play(link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  await page.run(`void (element.playbackRate = ${SPEED})`)
  const devtools = await page.page.context().newCDPSession(page.page)
  const heaps: number[] = []
  for (let at = 60; at < SECONDS; at += 120) {
    const { buffered } = await page.until(`it has come to ${at} s`, ({ seconds }) => seconds >= at, 120_000)
    for (const [start, end] of buffered) expect(end - start).toBeLessThan(90)
    await devtools.send('HeapProfiler.collectGarbage')
    const usage = await devtools.send('Runtime.getHeapUsage')
    heaps.push((usage.usedSize + ((usage as { backingStorageSize?: number }).backingStorageSize ?? 0)) / MIB)
  }
  console.log('heap and buffers after collection, MiB:', heaps.map(each => each.toFixed(1)).join(' '))
  expect(Math.max(...heaps.slice(2)) - Math.min(...heaps)).toBeLessThan(20)
  await page.until('it has ended', ({ ended }) => ended, 120_000)
  expect((await page.facts()).errors).toEqual([])
})

test('the quality falls with the line and rises with it', async () => {
  await page.play(link, { aheadSeconds: 10 })
  await page.until('the large one is shown', ({ height }) => height === 270)
  await withLine(page, { kbps: 500 }, () => page.until('a smaller one is shown', ({ height }) => height < 270, 120_000))
  await page.until('the large one is shown again', ({ height }) => height === 270, 300_000)
  expect((await page.facts()).errors).toEqual([])
})

test('an outage of ten seconds is waited for', async () => {
  await page.play(link, { aheadSeconds: 4 })
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 1)
  proxy.faults = () => ({ way: 'up', afterBytes: 0, how: 'cut' })
  proxy.cutAll()
  await new Promise(resolve => {
    setTimeout(resolve, OUTAGE_MS)
  })
  const { seconds, state } = await page.facts()
  expect(state).toBe('offline')
  proxy.faults = null
  const back = performance.now()
  await page.until('it goes on by itself', facts => facts.state === 'ready' && facts.seconds > seconds + 5, 60_000)
  console.log('after the outage, 5 s of film more after', Math.round(performance.now() - back), 'ms')
  expect((await page.facts()).errors).toEqual([])
})

const median = (values: readonly number[]): number =>
  Math.round(values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0)
