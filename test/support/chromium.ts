/** A real browser for a test: the system's Chromium, and a page of ours on a loopback port with a bundled script. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { chromiumPath } from './requirements.ts'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const SCRIPT = 'text/javascript; charset=utf-8'

export interface PageOptions {
  /** The TypeScript file the page runs, as a path from the repository's root. */
  readonly entry: string
  /** What the body of the page holds; nothing unless told. */
  readonly body?: string
  /** Its Content-Security-Policy; none unless told. */
  readonly policy?: string
  /** More scripts that the page may load: files by path, such as `/worker.js`. */
  readonly scripts?: Readonly<Record<string, string>>
}

/** A page in a browser of its own. Disposing of it ends the browser and the server behind the page. */
export interface TestPage extends AsyncDisposable {
  readonly page: Page
  /** Where the page comes from: `http://127.0.0.1:port`, a secure context. */
  readonly origin: string
  /** What the page threw or wrote as an error so far; a sound test ends with none. */
  readonly errors: readonly string[]
}

/** Bundles the entry, serves it, and opens it. The page has run its script when this resolves. */
export async function openTestPage(options: PageOptions): Promise<TestPage> {
  const resources = new AsyncDisposableStack()
  try {
    const { origin, close } = await servePage(await bundled(options.entry), options)
    resources.defer(close)
    const browser = await startChromium()
    resources.defer(() => browser.close())
    const page = await browser.newPage()
    const errors = errorsOf(page)
    await page.goto(origin, { waitUntil: 'load' })
    return { page, origin, errors, [Symbol.asyncDispose]: () => resources.disposeAsync() }
  } catch (error) {
    await resources.disposeAsync()
    throw error
  }
}

/** The browser alone, for a test that brings its own pages. The caller closes it. */
export async function startChromium(): Promise<Browser> {
  const executablePath = chromiumPath()
  if (executablePath === null) throw new Error('There is no Chromium: install it, or name one in SEALIFT_CHROMIUM')
  return chromium.launch({ executablePath, args: FLAGS })
}

/** One script for the browser. Fails where the entry pulls in anything of Node. */
export async function bundled(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    sourcemap: 'inline',
    logLevel: 'silent',
  })
  return outputFiles.map(file => file.text).join('\n')
}

/** Serves one page that runs `script`, on a loopback port. */
export async function servePage(
  script: string,
  { body = '', policy, scripts = {} }: Omit<PageOptions, 'entry'> = {},
): Promise<{ origin: string; close: () => Promise<void> }> {
  const html = `<!doctype html><meta charset="utf-8"><title>test</title><body>${body}<script type="module" src="/entry.js"></script>`
  const more = Object.entries(scripts).map(
    async ([path, file]) => [path, [SCRIPT, await readFile(file, 'utf8')]] as const,
  )
  const answers: Record<string, readonly [string, string]> = {
    ...Object.fromEntries(await Promise.all(more)),
    '/': ['text/html; charset=utf-8', html],
    '/entry.js': [SCRIPT, script],
    '/favicon.ico': ['image/x-icon', ''],
  }
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? '']
    if (answer === undefined) return response.writeHead(404).end()
    const headers = { 'Content-Type': answer[0], ...(policy !== undefined && { 'Content-Security-Policy': policy }) }
    return response.writeHead(200, headers).end(answer[1])
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  return { origin: `http://127.0.0.1:${port}`, close }
}

function errorsOf(page: Page): string[] {
  const errors: string[] = []
  page.on('pageerror', error => errors.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  return errors
}
