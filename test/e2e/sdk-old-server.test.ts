import { expect, test } from 'vitest'

import { undiciTransport } from '../../src/client/node/transport/undici-transport.ts'
import type { Transport } from '../../src/client/transport/transport.ts'
import { clientIn, content, digests } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'

/** Makes a server refuse raw manifests as those do that know only JSON; notes the types that manifests came in. */
function beforeRawManifests(types: string[]): Transport {
  const inner = undiciTransport({ connections: 4 })
  return {
    request(request) {
      const { method, url, headers } = request
      const isManifest = method !== 'GET' && /\/v1\/parcels(?:\?|$|\/\w+\/manifest$)/.test(url)
      if (!isManifest || request.body === undefined) return inner.request(request)
      const type = headers['content-type'] ?? ''
      types.push(type)
      if (type === 'application/json') return inner.request(request)
      return inner.request({ ...request, headers: { ...headers, 'content-type': 'text/plain' } })
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

test('a client sends manifests as JSON to a server that takes no raw ones, and asks it once', async () => {
  await using server = await startTestServer()
  await using home = await tempDirectory()
  const types: string[] = []
  await using sealift = clientIn(home.path, { server: server.url, transport: beforeRawManifests(types) })
  const links: string[] = []
  for (const [name, size] of [
    ['a.bin', 100_000],
    ['b.bin', 200_000],
  ] as const) {
    const { link } = await sealift.send([{ name, source: content(name, size) }])
    links.push(link)
  }
  expect(types.filter(type => type !== 'application/json')).toEqual(['application/octet-stream'])
  for (const link of links) await sealift.receive(link, { directory: `${home.path}/in` })
  expect(Object.keys(await digests(`${home.path}/in`)).toSorted()).toEqual(['a.bin', 'b.bin'])
})
