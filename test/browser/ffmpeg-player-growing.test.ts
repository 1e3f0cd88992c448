import { afterEach, beforeEach, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { ladderItem, makeLadder } from '../support/ladder.ts'
import type { Ladder } from '../support/ladder.ts'
import { openPlayerPage } from '../support/player-page.ts'
import type { PlayerTestPage } from '../support/player-page.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const SECONDS = 20

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift
let page: PlayerTestPage
let ladder: Ladder

beforeEach(async () => {
  // Receivers see what is stored in whole parts.
  server = await startTestServer({ transfer: { partBytes: '256KiB' } })
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
  const sizes = [
    { height: 360, kbps: 1600 },
    { height: 180, kbps: 800 },
  ]
  ladder = await makeLadder(home.path, { seconds: SECONDS, sizes })
  page = await openPlayerPage()
})

afterEach(async () => {
  await page[Symbol.asyncDispose]()
  await sealift[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

/** A sender that sends a part of its film, and the rest on a command. */
async function slowSender(firstPart: number): Promise<{
  readonly link: string
  readonly sending: Promise<unknown>
  more(part: number): void
  readonly stop: AbortController
}> {
  const steps: ((part: number) => void)[] = []
  const stream = (bytes: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array> => {
    let at = 0
    return new ReadableStream({
      start(controller) {
        const step = (part: number): void => {
          const end = Math.round(bytes.byteLength * part)
          controller.enqueue(bytes.slice(at, end))
          at = end
          if (part === 1) controller.close()
        }
        steps.push(step)
        step(firstPart)
      },
    })
  }
  const link = Promise.withResolvers<string>()
  const stop = new AbortController()
  const sending = sealift.send([ladderItem(ladder, { stream })], {
    publishFirst: true,
    signal: stop.signal,
    onPublished: published => link.resolve(published.link),
  })
  sending.catch((error: unknown) => link.reject(error))
  return {
    link: await link.promise,
    sending,
    stop,
    more(part) {
      for (const step of steps) step(part)
    },
  }
}

test('a film is watched while it is being sent, to its end', async () => {
  const sender = await slowSender(0.5)
  await page.play(sender.link)
  const begun = await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  expect(begun).toMatchObject({ sending: true, errors: [] })
  expect(begun.seconds).toBeLessThan(5)
  const known = begun.duration
  expect(known).toBeLessThan(SECONDS * 0.6)
  sender.more(0.8)
  await page.until('more of it is there', ({ duration }) => duration > known + 1)
  await page.until('it was taken up', ({ buffered }) => (buffered.at(-1)?.[1] ?? 0) > known + 1)
  expect((await page.facts()).sending).toBe(true)
  await page.run('void (element.currentTime = element.duration - 1)')
  await page.until('it has caught up with the sender', ({ state }) => state === 'waiting')
  sender.more(1)
  await sender.sending
  const ended = await page.until('it has ended', ({ ended }) => ended)
  expect(ended).toMatchObject({ sending: false, errors: [] })
  expect(ended.duration).toBeCloseTo(SECONDS, 0)
})

test('a sender that stops is reported', async () => {
  const sender = await slowSender(0.5)
  await page.play(sender.link)
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  sender.stop.abort()
  const failed = await page.until('it says so', ({ state }) => state === 'failed')
  expect(failed).toMatchObject({ errors: ['sender_gone'], sending: false })
  await expect(sender.sending).rejects.toMatchObject({ code: 'aborted' })
})

test('a sender that falls silent is reported, and what it sent can be watched to its end', async () => {
  const sender = await slowSender(0.5)
  await page.play(sender.link, { senderPatienceSeconds: 1, aheadSeconds: 2 })
  await page.until('it plays', ({ lastDrawn }) => lastDrawn > 0)
  const failed = await page.until('it says so', ({ state }) => state === 'failed')
  expect(failed).toMatchObject({ errors: ['sender_gone'], sending: false })
  const watched = await page.until('it has ended', ({ ended }) => ended)
  expect(watched.seconds).toBeGreaterThan(SECONDS * 0.3)
  sender.stop.abort()
  await expect(sender.sending).rejects.toMatchObject({ code: 'aborted' })
})
