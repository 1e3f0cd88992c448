/** Direct transfer by a link to a server that is not one's own: its store may be anywhere. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import { Sealift } from '../../src/client/index.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { startFlakyProxy, type FlakyProxy } from '../support/flaky-proxy.ts'
import { makeBucket, s3Settings } from '../support/s3-bucket.ts'
import { clientIn, content, digest, MemorySink, only } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

/** More than one request brings. */
const FILM = content('film', 9 * 1024 * 1024 + 7)

let server: TestServer
let store: FlakyProxy
let home: TempDirectory

beforeAll(async () => {
  const bucket = await makeBucket(await sharedEngine(cephEngine))
  store = await startFlakyProxy(bucket.endpoint)
  home = await tempDirectory()
  server = await startTestServer({
    storage: { kind: 's3', transfer: 'direct', s3: { ...s3Settings(bucket), publicEndpoint: store.url } },
  })
}, 120_000)

afterAll(async () => {
  await server.stop()
  await store[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function download(link: string, client: Sealift): Promise<string> {
  const parcel = await client.open(link)
  const sink = new MemorySink()
  await parcel.download(only(parcel), sink)
  return digest(sink.bytes)
}

const gets = (): number => store.requests.filter(line => line.startsWith('GET ')).length

test('threat: large items of another server pass that server, unless we wish otherwise and can judge its store', async () => {
  await using own = clientIn(home.path, { server: server.url })
  const { link } = await own.send([{ name: 'film', source: FILM }])
  const before = gets()
  const elsewhere = { server: 'http://127.0.0.1:9' }
  await using stranger = clientIn(home.path, elsewhere)
  await using unnamed = clientIn(home.path)
  // `fetch` does not tell where it connects, so a wish is not enough.
  await using blind = new Sealift({ ...elsewhere, direct: true })
  for (const client of [stranger, unnamed, blind]) expect(await download(link, client)).toBe(digest(FILM))
  expect(gets()).toBe(before)
  await using wishing = clientIn(home.path, { ...elsewhere, direct: true })
  expect(await download(link, wishing)).toBe(digest(FILM))
  expect(gets()).toBeGreaterThan(before)
})
