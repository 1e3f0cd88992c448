import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { undiciTransport } from '../../src/client/node/transport/undici-transport.ts'
import type { Transport } from '../../src/client/transport/transport.ts'
import { clientIn, content, MemorySink } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const ITEMS = 16

/** Responses requests of this method for media only once `together` of them have been asked. */
function gathering(inner: Transport, method: 'GET' | 'POST', together: number): Transport {
  const all = Promise.withResolvers<void>()
  let asked = 0
  return {
    async request(request) {
      if (request.method === method && request.url.includes('/v1/media')) {
        asked += 1
        if (asked === together) all.resolve()
        await all.promise
      }
      return inner.request(request)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

describe('small items', () => {
  let server: TestServer
  let home: TempDirectory

  beforeAll(async () => {
    server = await startTestServer()
    home = await tempDirectory()
  })

  afterAll(async () => {
    await server.stop()
    await home[Symbol.asyncDispose]()
  })

  test('are sent all at once', async () => {
    const transport = gathering(undiciTransport({ connections: 2 * ITEMS }), 'POST', ITEMS)
    await using sealift = clientIn(home.path, { server: server.url, parallel: 1, transport })
    const names = Array.from({ length: ITEMS }, (_, index) => `${index}.bin`)
    const { link } = await sealift.send(names.map(name => ({ name, source: content(name, 2000) })))
    expect((await sealift.open(link)).items.map(({ name }) => name)).toEqual(names)
  })

  test('are fetched all at once, however few ranges of large items may be in flight', async () => {
    const transport = gathering(undiciTransport({ connections: 2 * ITEMS }), 'GET', ITEMS)
    await using sealift = clientIn(home.path, { server: server.url, parallel: 1, transport })
    const names = Array.from({ length: ITEMS }, (_, index) => `${index}.bin`)
    const { link } = await sealift.send(names.map(name => ({ name, source: content(name, 1000) })))

    const sinks = new Map(names.map(name => [name, new MemorySink()]))
    const parcel = await sealift.open(link)
    const results = await parcel.downloadAll({
      open: item => Promise.resolve({ sink: sinks.get(item.name) ?? new MemorySink() }),
    })

    expect(results.filter(({ ok }) => ok)).toHaveLength(ITEMS)
    for (const [name, sink] of sinks) expect(sink.bytes).toEqual(content(name, 1000))
  })
})
