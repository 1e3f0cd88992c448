import { writeFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Request } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { SendItem } from '../../src/client/index.ts'
import type { NodeSealift } from '../../src/client/node/index.ts'
import { eventually } from '../support/eventually.ts'
import { jpeg, ladderItem, makeLadder } from '../support/ladder.ts'
import type { Ladder } from '../support/ladder.ts'
import { openPlayerPage } from '../support/player-page.ts'
import type { PlayerTestPage } from '../support/player-page.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const SIZES = [
  { height: 360, kbps: 800 },
  { height: 180, kbps: 200 },
]
const SECONDS = 40

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift
let page: PlayerTestPage
let ladder: Ladder
let link: string

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
  ladder = await makeLadder(home.path, { seconds: SECONDS, sizes: SIZES })
  link = await sent(ladderItem(ladder, { sheets: [await jpeg(home.path)] }))
  page = await openPlayerPage()
})

afterAll(async () => {
  await page[Symbol.asyncDispose]()
  await sealift[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

async function sent(item: SendItem): Promise<string> {
  return (await sealift.send([item])).link
}

test('a film plays from its start', async () => {
  await page.play(link)
  const facts = await page.until('it plays', ({ lastDrawn }) => lastDrawn > 1)
  expect(facts).toMatchObject({ state: 'ready', errors: [], sending: false, quality: 'auto' })
  expect(facts.qualities.map(({ height }) => height)).toEqual([360, 180])
  expect(facts.duration).toBeCloseTo(SECONDS, 0)
  expect(page.errors).toEqual([])
})

test('every place of a film can be sought', async () => {
  await page.play(link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  for (let seek = 0; seek < 20; seek += 1) {
    const target = (seek * 17.3) % (SECONDS - 1)
    await page.run(`void (element.currentTime = ${target})`)
    await page.until(
      `it plays from ${target} s`,
      ({ seconds, readyState }) => readyState >= 3 && seconds > target + 0.05,
    )
  }
  expect((await page.facts()).errors).toEqual([])
  expect(page.errors).toEqual([])
})

test('a film plays to its end', async () => {
  await page.play(link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  await page.run(`void (element.currentTime = ${SECONDS - 1})`)
  const ended = await page.until('it has ended', facts => facts.ended)
  expect(ended.errors).toEqual([])
  expect(ended.lastDrawn).toBeGreaterThan(SECONDS - 0.1)
})

test('a quality is chosen by hand, and automatically again', async () => {
  await page.play(link, { quality: 1, aheadSeconds: 4 })
  await page.until('the small one is shown', ({ height, playing }) => height === 180 && playing === 1)
  expect((await page.facts()).quality).toBe(1)
  await page.run('void (player.quality = 0)')
  await page.until('the large one is shown', ({ height, playing }) => height === 360 && playing === 0)
  await page.run(`void (player.quality = 'auto')`)
  expect((await page.facts()).quality).toBe('auto')
  await expect(page.run('void (player.quality = 2)')).rejects.toThrow('RangeError')
})

test('the storyboard shows the picture of a moment', async () => {
  await page.play(link)
  const { tile } = await page.until('its sheet is there', facts => facts.tile !== null)
  expect(tile).toMatchObject({ x: 0, y: 0, width: 160, height: 90 })
  expect(await page.run('player.storyboardAt(3)')).toMatchObject({ x: 160, y: 90 })
  expect(await page.run('player.storyboardAt(4)')).toBeNull()
  const picture = 'Object.assign(new Image(), { src: player.storyboardAt(0).sheet })'
  expect(await page.run(`(async image => (await image.decode(), image.naturalWidth))(${picture})`)).toBe(320)
})

test('the pointer over the bar shows the picture there', async () => {
  await page.play(link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  const preview = page.page.locator('#preview')
  expect(await preview.isVisible()).toBe(false)
  await page.page.locator('#bar').hover({ position: { x: 15, y: 10 } })
  await preview.waitFor({ state: 'visible' })
  const style = await page.run<Record<string, string>>(`(({ width, height, backgroundImage, backgroundPosition }) =>
    ({ width, height, backgroundImage, backgroundPosition }))(document.querySelector('#preview').style)`)
  const backgroundImage = expect.stringMatching(/^url\("blob:/)
  expect(style).toEqual({ width: '160px', height: '90px', backgroundImage, backgroundPosition: '-160px 0px' })
  await page.page.locator('video').hover()
  await preview.waitFor({ state: 'hidden' })
})

test('a strict content security policy is enough, and a worker of its own', async () => {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    `connect-src ${server.url}`,
    'media-src blob:',
    'img-src blob:',
  ].join('; ')
  const worker = join(import.meta.dirname, '../../node_modules/hls.js/dist/hls.worker.js')
  await using strict = await openPlayerPage({ policy, scripts: { '/hls.worker.js': worker } })
  await strict.play(link, { workerUrl: '/hls.worker.js' })
  await strict.until('it plays and has a sheet', ({ lastDrawn, tile }) => lastDrawn > 0 && tile !== null)
  expect(strict.page.workers().map(each => each.url())).toEqual([`${strict.origin}/hls.worker.js`])
  expect(strict.errors).toEqual([])
})

test('sound and subtitles are chosen', async () => {
  const folder = await tempDirectory()
  const film = await makeLadder(folder.path, { seconds: 8, sizes: SIZES.slice(1), tones: [500, 2000] })
  await folder[Symbol.asyncDispose]()
  const text = 'WEBVTT\n\n00:00.000 --> 00:08.000\n<b>Good</b> evening <img src=x>\n'
  await page.play(await sent(ladderItem(film, { subtitles: [{ text, language: 'en', name: 'English' }] })))
  const facts = await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  expect(facts.audioTracks.map(({ name }) => name)).toEqual(['Tone 1', 'Tone 2'])
  expect(facts.subtitles).toEqual([{ name: 'English', language: 'en' }])
  await page.page.mouse.click(10, 10)
  await page.run('void Object.assign(element, { muted: false, loop: true })')
  const heard = (): Promise<number> => page.page.evaluate<number>('playing.heardHertz()')
  await eventually('the first tone is heard', async () => Math.abs((await heard()) - 500) < 20)
  await page.run('void (player.audioTrack = 1)')
  await eventually('the second tone is heard', async () => Math.abs((await heard()) - 2000) < 20)
  expect(await page.run('player.subtitle')).toBeNull()
  await page.run('void (player.subtitle = 0)')
  const cue = `[...element.textTracks].flatMap(track => [...(track.activeCues ?? [])])[0]?.getCueAsHTML().textContent`
  await eventually('the subtitle is shown', async () => (await page.run(cue)) === 'Good evening ')
  expect((await page.facts()).errors).toEqual([])
})

test('sound alone plays', async () => {
  const folder = await tempDirectory()
  const sound = await makeLadder(folder.path, { seconds: 6 })
  await folder[Symbol.asyncDispose]()
  await page.play(await sent(ladderItem(sound)))
  const facts = await page.until('it plays', ({ seconds }) => seconds > 1)
  expect(facts).toMatchObject({ state: 'ready', errors: [], height: 0 })
  expect(facts.qualities).toMatchObject([{ width: null, height: null }])
})

test('what is no film plays as the browser can, or says why not', async () => {
  const path = join(home.path, 'plain.mp4')
  const [track] = ladder.renditions
  await writeFile(path, track?.bytes ?? '')
  const film = { begin: () => Promise.resolve({ film: null, note: 'It is short' }) }
  const plain = await sent({ name: 'plain.mp4', type: 'video/mp4', source: await readFile(path), film })
  await page.play(plain)
  // A picture may be drawn before the browser says that it can play.
  const facts = await page.until('it plays', ({ lastDrawn, state }) => lastDrawn > 0 && state === 'ready')
  expect(facts).toMatchObject({ state: 'ready', errors: [], qualities: [], objectUrls: 1, note: 'It is short' })
  await page.run('player.destroy()')
  expect(await page.facts()).toMatchObject({ state: 'destroyed', objectUrls: 0 })

  await page.play(plain, { maxPlainBytes: 1000 })
  expect((await page.until('it fails', ({ state }) => state === 'failed')).message).toMatch(/too large/)
  await page.play(await sent({ name: 'x.avi', type: 'video/x-msvideo', source: new Uint8Array(10) }))
  expect((await page.until('it fails', ({ state }) => state === 'failed')).message).toMatch(/video\/x-msvideo/)
  await page.play(await sent({ name: 'x.txt', type: 'text/plain', source: new Uint8Array(10) }))
  const failed = await page.until('it fails', ({ state }) => state === 'failed')
  expect(failed).toMatchObject({ errors: ['not_playable'], message: 'This is neither video nor audio' })
})

test('what is destroyed holds nothing and asks for nothing', async () => {
  await page.play(link)
  await page.until('it plays and has a sheet', ({ lastDrawn, tile }) => lastDrawn > 0 && tile !== null)
  let asked = 0
  const underWay = new Set<Request>()
  page.page.on('request', request => {
    if (!request.url().startsWith(server.url)) return
    asked += 1
    underWay.add(request)
  })
  page.page.on('requestfinished', request => underWay.delete(request))
  page.page.on('requestfailed', request => underWay.delete(request))
  await page.run('void (element.currentTime = 25)')
  await eventually('it asks for more', () => asked > 0)
  await page.run('player.destroy()')
  await eventually('nothing is under way', () => underWay.size === 0)
  const before = asked
  const facts = await page.facts()
  expect(facts).toMatchObject({ state: 'destroyed', objectUrls: 0, qualities: [], tile: null })
  expect(await page.run('element.getAttribute("src")')).toBeNull()
  await page.run('void (element.currentTime = 30)')
  await page.run('player.destroy()')
  expect(asked).toBe(before)
  await page.play(link)
  await page.until('the next one plays', ({ lastDrawn }) => lastDrawn > 0)
  expect(page.errors).toEqual([])
})

test('a link that has ended says so', async () => {
  const { link: ended, ownerSecret } = await sealift.send([ladderItem(ladder)])
  await page.play(ended, { aheadSeconds: 2 })
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  await sealift.delete(ended, ownerSecret)
  await page.run('void (element.currentTime = 30)')
  const facts = await page.until('it fails', ({ state }) => state === 'failed')
  expect(facts.errors).toEqual(['expired'])
})
