import { afterAll, beforeAll, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { ladderItem, makeLadder } from '../support/ladder.ts'
import type { Ladder } from '../support/ladder.ts'
import { openPlayerPage, withLine } from '../support/player-page.ts'
import type { PlayerTestPage } from '../support/player-page.ts'
import { clientIn } from '../support/sdk.ts'
import { storedMedia } from '../support/stored-bytes.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const SECONDS = 40
const OUTAGE_MS = 3000
const CHUNK = 256 * 1024

let server: TestServer
let proxy: FlakyProxy
let home: TempDirectory
let sealift: NodeSealift
let page: PlayerTestPage
let ladder: Ladder
let link: string

beforeAll(async () => {
  server = await startTestServer()
  proxy = await startFlakyProxy(server.url)
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: proxy.url })
  const sizes = [
    { height: 360, kbps: 2000 },
    { height: 180, kbps: 200 },
  ]
  ladder = await makeLadder(home.path, { seconds: SECONDS, sizes })
  link = (await sealift.send([ladderItem(ladder)])).link
  page = await openPlayerPage()
})

afterAll(async () => {
  await page[Symbol.asyncDispose]()
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

test('the quality follows the line', async () => {
  await page.play(link, { aheadSeconds: 6 })
  await page.until('the large one is shown', ({ height }) => height === 360)
  await withLine(page, { kbps: 1000 }, async () => {
    await page.until('the small one is shown', ({ height, playing }) => height === 180 && playing === 1, 30_000)
  })
  expect((await page.facts()).errors).toEqual([])
})

test('an outage is reported, and playing continues after it', async () => {
  await page.play(link, { aheadSeconds: 2 })
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 1)
  proxy.faults = () => ({ way: 'up', afterBytes: 0, how: 'cut' })
  proxy.cutAll()
  const begun = performance.now()
  await page.until('it says so', ({ state }) => state === 'offline')
  await page.until('it is blocked', ({ readyState }) => readyState < 3)
  await new Promise(resolve => {
    setTimeout(resolve, OUTAGE_MS - (performance.now() - begun))
  })
  const { seconds } = await page.facts()
  proxy.faults = null
  await page.until('it goes on by itself', facts => facts.state === 'ready' && facts.seconds > seconds + 2)
  expect((await page.facts()).errors).toEqual([])
})

test('it goes on at once when the browser says that the network is back', async () => {
  await page.play(link, { aheadSeconds: 2 })
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 1)
  await withLine(page, { offline: true }, async () => {
    await page.until('it says so', ({ state }) => state === 'offline')
    await page.until('it is blocked', ({ readyState }) => readyState < 3)
  })
  const { seconds } = await page.facts()
  await page.until('it goes on by itself', facts => facts.state === 'ready' && facts.seconds > seconds + 2)
  expect((await page.facts()).errors).toEqual([])
})

test('a byte that was altered in storage is never shown', async () => {
  const before = new Set((await storedMedia(server.live.current)).map(({ name }) => name))
  const [best] = ladder.renditions
  if (!best) throw new Error('The ladder is empty')
  const film = { ...ladder, renditions: [best] }
  const { link: bad } = await sealift.send([ladderItem(film)])
  const stored = (await storedMedia(server.live.current)).filter(({ name }) => !before.has(name))
  const sizes = await Promise.all(stored.map(async each => ({ each, bytes: await each.read() })))
  const track = sizes.toSorted((a, b) => b.bytes.byteLength - a.bytes.byteLength)[0]
  if (!track) throw new Error('Nothing was stored')
  // The chunk that begins inside of the segment at ten seconds, and all that it reaches into.
  const chunk = Math.ceil((best.facts.segments[5]?.[0] ?? 0) / CHUNK)
  const place = chunk * CHUNK + 1000
  track.bytes[place] = (track.bytes[place] ?? 0) ^ 1
  await track.each.write(track.bytes)
  const first = best.facts.segments.findIndex(([offset, length]) => offset + length > chunk * (CHUNK - 16) - 40)
  const badFrom = best.facts.segments.slice(0, first).reduce((sum, [, , seconds]) => sum + seconds, 0)

  await page.play(bad, { aheadSeconds: 4 })
  const failed = await page.until('it fails', ({ state }) => state === 'failed')
  expect(failed).toMatchObject({ errors: ['damaged'], message: expect.stringMatching(/altered/) })
  const requests = proxy.requests.length
  const { buffered, lastDrawn } = await page.until('it is blocked', ({ paused }) => paused)
  expect(lastDrawn).toBeGreaterThan(0)
  expect(lastDrawn).toBeLessThan(badFrom)
  expect(buffered).toHaveLength(1)
  expect(buffered[0]?.[1]).toBeLessThan(badFrom + 0.1)
  // It is not requested again, not even by seeking into it.
  await page.run(`void (element.currentTime = ${badFrom + 0.5}, element.play().catch(() => {}))`)
  await page.until('it still stands', ({ paused, readyState }) => paused && readyState < 3)
  expect(proxy.requests.length).toBe(requests)
  expect((await page.facts()).lastDrawn).toBe(lastDrawn)
})
