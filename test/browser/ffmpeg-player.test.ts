import { afterAll, beforeAll, expect, test } from 'vitest'

import { openTestPage } from '../support/chromium.ts'
import type { TestPage } from '../support/chromium.ts'
import { eventually } from '../support/eventually.ts'
import { ladderItem, makeLadder } from '../support/ladder.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'
import type { PlayerFacts } from './ffmpeg-player-page.ts'

let server: TestServer
let home: TempDirectory
let opened: TestPage

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  opened = await openTestPage({ entry: 'test/browser/ffmpeg-player-page.ts' })
})

afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const facts = (): Promise<PlayerFacts> => opened.page.evaluate<PlayerFacts>('playing.facts()')

async function open(link: string): Promise<void> {
  await opened.page.evaluate(`playing.open(${JSON.stringify(link)})`)
}

test('a film plays from its start', async () => {
  const sizes = [
    { height: 360, kbps: 800 },
    { height: 180, kbps: 200 },
  ]
  const ladder = await makeLadder(home.path, { seconds: 20, sizes })
  await using sealift = clientIn(home.path, { server: server.url })
  const { link } = await sealift.send([ladderItem(ladder)])
  await open(link)
  await eventually('it plays', async () => (await facts()).seconds > 2)
  expect(await facts()).toMatchObject({ state: 'ready', error: null, sending: false, heights: [360, 180] })
  expect((await facts()).duration).toBeCloseTo(20, 0)
  expect(opened.errors).toEqual([])
})
