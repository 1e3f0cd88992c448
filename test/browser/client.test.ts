import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { openTestPage } from '../support/chromium.ts'
import type { TestPage } from '../support/chromium.ts'
import { LOCAL_TOKEN } from '../support/local-token.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'
import type { ClientPage } from './client-page.ts'

type Reply<K extends keyof ClientPage> = Awaited<ReturnType<ClientPage[K]>>

let server: TestServer
let home: TempDirectory
let opened: TestPage
let link = ''
let reports = 0

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: '2MiB' } })
  home = await tempDirectory()
  opened = await openTestPage({ entry: 'test/browser/client-page.ts' })
  const sent = await opened.page.evaluate<Reply<'send'>>(
    `client.send(${JSON.stringify(server.url)}, ${JSON.stringify(LOCAL_TOKEN)})`,
  )
  link = sent.link
  reports = sent.reports
})

afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

function pattern(length: number, step: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, at) => (at * step + (at >> 8)) & 255))
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const EXPECTED = {
  'photo.jpg': sha256(pattern(300_000, 3)),
  'film.mp4': sha256(pattern(10_000_000, 5)),
  stream: sha256(pattern(9_000_001, 7)),
  empty: sha256(Buffer.alloc(0)),
}

test('what a browser sends, Node receives', async () => {
  await using sealift = clientIn(home.path)
  const received = await sealift.receive(link, { directory: join(home.path, 'in') })
  expect(received.complete).toBe(true)
  const found = received.items.map(async ({ item, path }) => [item.name, sha256(await readFile(path ?? ''))])
  expect(Object.fromEntries(await Promise.all(found))).toEqual(EXPECTED)
})

test('what a browser sends, a browser receives', async () => {
  const found = await opened.page.evaluate<Reply<'receive'>>(`client.receive(${JSON.stringify(link)})`)
  expect(found).toEqual(EXPECTED)
  expect(reports).toBeGreaterThan(0)
  expect(opened.errors).toEqual([])
})

test('a browser can stop', async () => {
  const code = await opened.page.evaluate<Reply<'abort'>>(`client.abort(${JSON.stringify(link)})`)
  expect(code).toBe('aborted')
})
