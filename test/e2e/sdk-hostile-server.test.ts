import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

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
