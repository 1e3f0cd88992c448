/** The system's Chromium with the benchmark's page; every measurement has a page without a cache or connections. */
import type { Browser, Page } from 'playwright-core'

import { bundled, servePage, startChromium } from '../../test/support/chromium.ts'
import { chromiumPath } from '../../test/support/requirements.ts'

export interface PlayingBrowser extends AsyncDisposable {
  /** A fresh page, closed after `work`, which runs scripts in it: there is `bench`, see `page.ts`. */
  withPage<T>(work: (evaluate: <R>(script: string) => Promise<R>, page: Page) => Promise<T>): Promise<T>
}

export function missingChromium(): string | null {
  return chromiumPath() === null ? 'chromium not installed' : null
}

export async function openBrowser(): Promise<PlayingBrowser> {
  await using stack = new AsyncDisposableStack()
  const { origin, close } = await servePage(await bundled('bench/video/page.ts'))
  stack.defer(close)
  const browser: Browser = await startChromium()
  stack.defer(() => browser.close())
  const owned = stack.move()
  return {
    async withPage(work) {
      const context = await browser.newContext({ viewport: { width: 1300, height: 760 } })
      try {
        const page = await context.newPage()
        await page.goto(origin, { waitUntil: 'load' })
        return await work(script => page.evaluate(script), page)
      } finally {
        await context.close()
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
