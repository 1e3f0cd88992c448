import { afterEach, beforeEach, expect, test } from 'vitest'

import type { NodeSealift, SendItem } from '../../src/client/node/index.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { clientIn, content, writeFiles } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

let server: TestServer
let proxy: FlakyProxy
let home: TempDirectory
let sealift: NodeSealift

async function start(manifestBytes: string): Promise<void> {
  server = await startTestServer({ tiers: { default: { manifestBytes } } })
  proxy = await startFlakyProxy(server.url)
  sealift = clientIn(home.path, { server: proxy.url })
}

beforeEach(async () => {
  home = await tempDirectory()
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const items = (count: number): SendItem[] =>
  Array.from({ length: count }, (_, index) => ({ name: `folder/${index}`, source: content(String(index), 10) }))

/** All that was asked of the server, but for what is allowed. */
const requests = (): readonly string[] => proxy.requests.filter(line => !line.startsWith('GET /v1/limits'))

async function usage(): Promise<{ storedBytes: number; reservedBytes: number }> {
  const { storedBytes, reservedBytes } = (await sealift.limits()).usage
  return { storedBytes, reservedBytes }
}

test('more items than a link holds are refused before the first byte, with how many fit', async () => {
  await start('64MiB')
  await expect(sealift.send(items(20_001))).rejects.toMatchObject({
    code: 'too_large',
    context: { limit: 'items', value: 20_000, fits: 20_000 },
  })
  expect(requests()).toEqual([])
})

test('a thumbnail counts as an item', async () => {
  await start('64MiB')
  const pictured = items(10_001).map(item => ({ ...item, thumbnail: content('thumbnail', 10) }))
  await expect(sealift.send(pictured)).rejects.toMatchObject({
    code: 'too_large',
    context: { limit: 'items', fits: 10_000 },
  })
  expect(requests()).toEqual([])
})

test('more than a manifest of this server describes is refused before the first byte, and what fits is sent', async () => {
  await start('100KiB')
  const error: unknown = await sealift.send(items(1000)).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'too_large', context: { limit: 'manifestBytes', value: 100 * 1024 } })
  expect(requests()).toEqual([])
  const { context } = error as { context: { fits: number } }
  expect(context.fits).toBeGreaterThan(200)
  expect((await sealift.send(items(context.fits))).items).toBe(context.fits)
  await expect(sealift.send(items(context.fits + 1))).rejects.toMatchObject({ context: { fits: context.fits } })
})

test('nothing of a send whose manifest the server refuses stays charged', async () => {
  await start('4KiB')
  await expect(sealift.send(items(30))).rejects.toMatchObject({ code: 'too_large' })
  expect(requests().some(line => line.startsWith('POST /v1/media'))).toBe(true)
  expect(await usage()).toEqual({ storedBytes: 0, reservedBytes: 0 })
})

test('nor of files, whose send would fail again', async () => {
  await start('4KiB')
  const files = Object.fromEntries(items(30).map(({ name }) => [name.replace('/', '-'), 10]))
  await expect(sealift.sendFiles(await writeFiles(home.path, files))).rejects.toMatchObject({ code: 'too_large' })
  expect(requests().some(line => line.startsWith('POST /v1/media'))).toBe(true)
  expect(await usage()).toEqual({ storedBytes: 0, reservedBytes: 0 })
})
