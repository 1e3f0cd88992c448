/** hls.js as it is installed, with its default settings, plays what the gateway of `sealift play` gives. */
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { bundled, startChromium } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { ffmpeg } from '../support/films.ts'
import { localEnv } from '../support/local-token.ts'
import { FRAMES_PER_SECOND, numberedPictures } from '../support/numbered-film.ts'
import { startPlay, type Playing } from '../support/playing.ts'
import { runSeed, seededRandom } from '../support/random.ts'
import { runCli } from '../support/running-cli.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import type { StockPage } from './ffmpeg-play-hls-page.ts'

const SECONDS = 20
const KEY_FRAMES_EVERY = 50
/** With less than this left of a segment, hls.js begins with the next one (`maxFragLookUpTolerance`). */
const SKIPPED_FRAMES = 8
const SEEKS = 20
const HTML =
  '<!doctype html><meta charset="utf-8"><script src="hls.js"></script><script type="module" src="page.js"></script>'

let server: TestServer
let home: TempDirectory
let browser: Browser
let files: Readonly<Record<string, readonly [type: string, body: string]>>
let page: Page
const crashes: string[] = []
/** Pictures that are decoded out of order are shown so many later than zero. */
let delay = 0

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  browser = await startChromium()
  const bundle = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js')
  files = {
    'index.html': ['text/html', HTML],
    'hls.js': ['text/javascript', await readFile(bundle, 'utf8')],
    'page.js': ['text/javascript', await bundled('test/browser/ffmpeg-play-hls-page.ts')],
  }
})

afterAll(async () => {
  await browser.close()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

beforeEach(async () => {
  page = await browser.newPage()
  crashes.length = 0
  page.on('pageerror', error => crashes.push(String(error)))
})

afterEach(() => page.close())

test('a film as it was sent: twenty pictures of it, and to its end', async () => {
  await using playing = await playingOf({ name: 'copied', size: '320x180', mode: 'copy', sounds: 1 })
  await openPage(playing)
  await showsTwentyPictures()
  await playsToItsEnd()
  expect(await facts()).toMatchObject({ heights: [180], errors: [] })
  expect(crashes).toEqual([])
})

test('a ladder: twenty pictures of it, to its end, and each quality', async () => {
  await using playing = await playingOf({ name: 'ladder', size: '854x480', mode: 'ladder', sounds: 1 })
  await openPage(playing)
  await showsTwentyPictures()
  await playsToItsEnd()
  expect(await facts()).toMatchObject({ heights: [240, 480], errors: [] })
  for (const [quality, height] of [240, 480].entries()) {
    await page.evaluate(`void Object.assign(stock.hls, { currentLevel: ${quality} })`)
    await shows(quality * 100 + 10)
    await eventually(`${height} lines are shown`, async () => (await facts()).height === height)
  }
  expect(await facts()).toMatchObject({ errors: [] })
  expect(crashes).toEqual([])
})

test('a film in two languages: twenty pictures of it, to its end, and each language', async () => {
  await using playing = await playingOf({ name: 'languages', size: '320x180', mode: 'copy', sounds: 2 })
  await openPage(playing)
  await showsTwentyPictures()
  await playsToItsEnd()
  expect(await facts()).toMatchObject({ sounds: ['en', 'de'], errors: [] })
  await page.mouse.click(10, 10)
  await page.evaluate('void Object.assign(stock.video, { muted: false, loop: true, playbackRate: 1, currentTime: 1 })')
  await page.evaluate('stock.video.play()')
  for (const [sound, hertz] of [440, 880].entries()) {
    await page.evaluate(`void (stock.hls.audioTrack = ${sound})`)
    const heard = (): Promise<number> => page.evaluate<number>('stock.heardHertz()')
    await eventually(`${hertz} hertz are heard`, async () => Math.abs((await heard()) - hertz) < 20, 20_000)
  }
  expect(await facts()).toMatchObject({ errors: [] })
  expect(crashes).toEqual([])
})

interface Asked {
  readonly name: string
  readonly size: `${number}x${number}`
  readonly mode: 'copy' | 'ladder'
  readonly sounds: number
}

/** Sends a film with the command, and plays it with the command. */
async function playingOf({ name, size, mode, sounds }: Asked): Promise<Playing> {
  const path = join(home.path, `${name}.mp4`)
  const tones = Array.from({ length: sounds }, (_, sound) => `sine=frequency=${440 * (sound + 1)}:duration=${SECONDS}`)
  const inputs = [numberedPictures(size, SECONDS), ...tones].flatMap(source => ['-f', 'lavfi', '-i', source])
  const maps = Array.from({ length: sounds + 1 }, (_, input) => ['-map', String(input)]).flat()
  const languages = ['-metadata:s:a:0', 'language=eng', ...(sounds > 1 ? ['-metadata:s:a:1', 'language=deu'] : [])]
  const encoding = '-pix_fmt yuv420p -c:v libx264 -preset veryfast -c:a aac'.split(' ')
  await ffmpeg(...inputs, ...maps, ...languages, ...encoding, '-g', String(KEY_FRAMES_EVERY), path)
  const env = { SEALIFT_SERVER: server.url, ...localEnv(server.url), XDG_STATE_HOME: join(home.path, 'state') }
  const sent = await runCli(['send', '--film', mode, path], { env })
  expect(sent.code, sent.stderr).toBe(0)
  return await startPlay([sent.stdout.toString().trim()], { env })
}

/** The gateway accepts no other origin and serves no pages, so this proxy serves the page. */
async function openPage({ url }: Playing): Promise<void> {
  for (const [name, [contentType, body]] of Object.entries(files)) {
    await page.route(new URL(`/${name}`, url).href, route => route.fulfill({ contentType, body }))
  }
  await page.route(new URL('/favicon.ico', url).href, route => route.fulfill({ contentType: 'image/x-icon', body: '' }))
  await page.goto(new URL('/index.html', url).href)
  await page.evaluate(`stock.open(${JSON.stringify(url)})`)
  delay = Math.round(((await facts()).start ?? 0) * FRAMES_PER_SECOND)
}

function facts(): Promise<ReturnType<StockPage['facts']>> {
  return page.evaluate('stock.facts()')
}

async function playsToItsEnd(): Promise<void> {
  await page.evaluate('(stock.video.currentTime = 0, stock.video.playbackRate = 3, stock.video.play())')
  let seen = await facts()
  await eventually('it has ended', async () => (seen = await facts()).ended, SECONDS * 2000).catch((error: unknown) => {
    throw new Error(`${String(error)}; the page: ${JSON.stringify(seen)}`)
  })
  expect(seen.currentTime).toBeGreaterThan(SECONDS - 0.1)
  expect(seen.duration).toBeLessThan(SECONDS + 0.2)
  await page.evaluate('stock.video.pause()')
}

async function showsTwentyPictures(): Promise<void> {
  const random = seededRandom(runSeed())
  for (let seek = 0; seek < SEEKS; seek += 1) {
    const keyFrame = random.int((SECONDS * FRAMES_PER_SECOND) / KEY_FRAMES_EVERY) * KEY_FRAMES_EVERY
    await shows(keyFrame + random.int(KEY_FRAMES_EVERY - SKIPPED_FRAMES))
  }
}

/** Seeks to the middle of the time of a picture, and waits for that one. */
async function shows(picture: number): Promise<void> {
  await page.evaluate(`void (stock.video.currentTime = ${(picture + delay + 0.5) / FRAMES_PER_SECOND})`)
  let shown = -1
  await eventually(
    `picture ${picture} is shown`,
    async () => (shown = await page.evaluate<number>('stock.shownNumber()')) === picture,
  ).catch(async (error: unknown) => {
    throw new Error(`${String(error)}; shown is ${shown}; the page: ${JSON.stringify(await facts())}`)
  })
}
