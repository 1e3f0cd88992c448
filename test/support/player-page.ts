/** A page that plays a film with the SDK and the player, as an app would have it; and what its tests look at. */
import type { PlayerFacts } from '../browser/ffmpeg-player-page.ts'
import type { PlayerOptions } from '../../src/video/player/index.ts'
import { openTestPage } from './chromium.ts'
import type { PageOptions, TestPage } from './chromium.ts'
import { eventually } from './eventually.ts'

export interface PlayerTestPage extends TestPage {
  /** Begins anew: a fresh page that plays the first item of a link. */
  play(link: string, options?: PlayerOptions): Promise<void>
  facts(): Promise<PlayerFacts>
  /** Runs in the page, where `player` and `element` are known. */
  run<T>(script: string): Promise<T>
  /** Waits until the facts are so. */
  until(what: string, isTrue: (facts: PlayerFacts) => boolean, withinMs?: number): Promise<PlayerFacts>
}

export async function openPlayerPage(options: Omit<PageOptions, 'entry'> = {}): Promise<PlayerTestPage> {
  const opened = await openTestPage({ ...options, entry: 'test/browser/ffmpeg-player-page.ts' })
  const { page, origin } = opened
  const facts = (): Promise<PlayerFacts> => page.evaluate<PlayerFacts>('playing.facts()')
  return {
    ...opened,
    facts,
    async play(link, options = {}) {
      await page.goto(origin, { waitUntil: 'load' })
      await page.evaluate(`playing.open(${JSON.stringify(link)}, ${JSON.stringify(options)})`)
    },
    run: script => page.evaluate(`(() => { const { player, element } = playing; return ${script} })()`),
    async until(what, isTrue, withinMs = 20_000) {
      let seen = await facts()
      await eventually(what, async () => isTrue((seen = await facts())), withinMs).catch((error: unknown) => {
        throw new Error(`${String(error)}; the player: ${JSON.stringify(seen)}`)
      })
      return seen
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

/** What the browser makes of its line: `emulateNetworkConditions` of the DevTools protocol. */
export interface EmulatedLine {
  readonly offline?: boolean
  /** Each way; unlimited when absent. */
  readonly kbps?: number
}

/** Does `work` while the page has such a line. */
export async function withLine<T>({ page }: TestPage, line: EmulatedLine, work: () => Promise<T>): Promise<T> {
  const devtools = await page.context().newCDPSession(page)
  const bytesPerSecond = line.kbps === undefined ? -1 : (line.kbps * 1000) / 8
  await devtools.send('Network.enable')
  await devtools.send('Network.emulateNetworkConditions', {
    offline: line.offline ?? false,
    latency: 20,
    downloadThroughput: bytesPerSecond,
    uploadThroughput: bytesPerSecond,
  })
  try {
    return await work()
  } finally {
    await devtools.detach()
  }
}
