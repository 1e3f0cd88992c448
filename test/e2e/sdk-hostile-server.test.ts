import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

import { sealManifest } from '../../src/client/manifest/manifest-codec.ts'
import { nodeSuite as suite } from '../../src/sealing/node-suite.ts'
import { clientIn, content } from '../support/sdk.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const MIB = 1024 * 1024

test.each([0, 1, 256 * 1024 + 1, 257 * MIB, 64 * 1024 * MIB])(
  'threat 19: a server that asks for parts of %i bytes is refused before a buffer is made',
  async partBytes => {
    let parts = 0
    const server = createServer((req, res) => {
      req.resume()
      if (req.method === 'PUT') parts += 1
      const ids = { uploadId: 'a'.repeat(26), mediaId: 'b'.repeat(26) }
      const begun = { ...ids, partBytes, expiresAt: new Date(Date.now() + 60_000).toISOString() }
      const isBegin = req.method === 'POST' && req.url === '/v1/uploads'
      res.writeHead(isBegin ? 201 : 404, { 'content-type': 'application/json' })
      res.end(isBegin ? JSON.stringify(begun) : '{}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    await using home = await tempDirectory()
    await using sealift = clientIn(home.path, { server: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
    const sent = sealift.send([{ name: 'large', source: content('large', 20 * MIB) }])
    await expect(sent).rejects.toMatchObject({ code: 'invalid_response' })
    expect(parts).toBe(0)
    server.close()
  },
)

test('threat 19: a server that sends without an end of what is being sent is not held in memory', async () => {
  const key = new Uint8Array(32).fill(7)
  const secret = Buffer.from(key).toString('base64url')
  const media = { media: 'b'.repeat(26), key: secret, commit: secret, chunkBytes: 256 * 1024 }
  const item = { name: 'endless', type: 'video/mp4', state: 'sending', ...media } as const
  const manifest = await sealManifest({ v: 1, createdAt: '2026-01-01T00:00:00Z', items: [item] }, { suite, key })
  let sent = 0
  const server = createServer((req, res) => {
    if (req.url?.startsWith('/v1/parcels/') === true) {
      res.writeHead(200, { 'sealift-version': '1', 'content-length': manifest.byteLength })
      res.end(manifest)
      return
    }
    res.writeHead(206, { 'content-range': `bytes 0-${8 * MIB - 1}/*` })
    const more = (): void => {
      while (sent < 64 * MIB && !res.destroyed && res.write(new Uint8Array(MIB))) sent += MIB
    }
    res.on('drain', more)
    more()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  await using home = await tempDirectory()
  await using sealift = clientIn(home.path)
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const parcel = await sealift.open(`${url}/p/${'a'.repeat(26)}#${secret}`)
  const [endless] = parcel.items
  const read = async (): Promise<void> => {
    if (endless) for await (const _ of parcel.stream(endless)) sent += 0
  }
  await expect(read()).rejects.toMatchObject({ code: 'damaged_media' })
  expect(sent).toBeLessThan(32 * MIB)
  server.closeAllConnections()
  server.close()
})
