import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { allowWebPages } from '../../src/server/blobs/s3/bucket-cors.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { openTestPage, type TestPage } from '../support/chromium.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { LOCAL_TOKEN } from '../support/local-token.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { makeBucket, s3Settings } from '../support/s3-bucket.ts'
import { clientIn } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import type { ClientPage } from './client-page.ts'

type Reply<K extends keyof ClientPage> = Awaited<ReturnType<ClientPage[K]>>

const NEVER = new AbortController().signal
/** The picture, there and back. */
const SMALL = 2 * 330_000

let bucket: S3Connection
let server: TestServer
let home: TempDirectory
let opened: TestPage

beforeAll(async () => {
  bucket = await makeBucket(await sharedEngine(cephEngine))
  server = await startTestServer({
    storage: { kind: 's3', transfer: 'direct', s3: s3Settings(bucket) },
    transfer: { partBytes: '2MiB' },
  })
  home = await tempDirectory()
  opened = await openTestPage({ entry: 'test/browser/client-page.ts' })
}, 120_000)

afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

async function movedByServer(): Promise<number> {
  const page = await (await fetch(`${server.adminUrl ?? ''}/metrics`)).text()
  const counts = [...page.matchAll(/^sealift_transfer_bytes_total\{.*\} (\d+)$/gm)]
  return counts.reduce((sum, [, count]) => sum + Number(count), 0)
}

const send = async (): Promise<string> => {
  const { link } = await opened.page.evaluate<Reply<'send'>>(
    `client.send(${JSON.stringify(server.url)}, ${JSON.stringify(LOCAL_TOKEN)})`,
  )
  return link
}

const receive = (link: string): Promise<Reply<'receive'>> =>
  opened.page.evaluate<Reply<'receive'>>(`client.receive(${JSON.stringify(link)}, ${JSON.stringify(server.url)})`)

function sha256(length: number, step: number): string {
  const bytes = Uint8Array.from({ length }, (_, at) => (at * step + (at >> 8)) & 255)
  return createHash('sha256').update(bytes).digest('hex')
}

const EXPECTED = {
  'photo.jpg': sha256(300_000, 3),
  'film.mp4': sha256(10_000_000, 5),
  stream: sha256(9_000_001, 7),
  empty: sha256(0, 1),
}

test('a page that the bucket does not admit sends and receives through the server', async () => {
  const link = await send()
  expect(await receive(link)).toEqual(EXPECTED)
  expect(await movedByServer()).toBeGreaterThan(2 * 19_000_000)
})

test('a page that it admits exchanges the bytes of large items with the store alone', async () => {
  await allowWebPages(bucket, [opened.origin], NEVER)
  const before = await movedByServer()
  const link = await send()
  expect(await receive(link)).toEqual(EXPECTED)
  await using sealift = clientIn(home.path, { server: server.url })
  const received = await sealift.receive(link, { directory: join(home.path, 'in') })
  for (const { item, path } of received.items) {
    const bytes = await readFile(path ?? '')
    expect([item.name, createHash('sha256').update(bytes).digest('hex')]).toEqual([
      item.name,
      EXPECTED[item.name as keyof typeof EXPECTED],
    ])
  }
  // And once more by Node.
  expect((await movedByServer()) - before).toBeLessThan(SMALL * 2)
})
