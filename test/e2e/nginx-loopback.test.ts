/** A proxy before a server whose operator changed nothing: it must not open the server to the world. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApi, OCTETS, type Api } from '../support/api.ts'
import { readServeToken } from '../support/local-token.ts'
import { startNginx, type Nginx } from '../support/nginx.ts'
import { startServe, type Serving } from '../support/serving.ts'

/**
 * All that nginx's own beginner's guide tells: `Host` becomes the upstream's, and nothing says that it was forwarded.
 */
const STOCK = `
server {
    listen 127.0.0.1:{port};
    location / {
        proxy_pass http://127.0.0.1:7325;
    }
}`

const home = mkdtempSync(join(tmpdir(), 'sealift-nginx-loopback-'))
let serving: Serving
let nginx: Nginx
let owner: Api

beforeAll(async () => {
  serving = await startServe(home)
  nginx = await startNginx({ example: { text: STOCK }, upstream: serving.url })
  owner = createApi(serving.url)
})

afterAll(async () => {
  await nginx[Symbol.asyncDispose]()
  await serving[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

test('threat 51: behind a stock proxy_pass a stranger stores nothing and learns no limits', async () => {
  const world = createApi(nginx.url, { token: null })
  const responses = [
    await world.call('storeMedia', {}, { body: 'bytes', headers: OCTETS }),
    await world.call('beginUpload', {}, { json: {} }),
    await world.call('publishParcel', {}, { json: { manifest: 'AAAA', media: [] } }),
    await world.call('limits', {}),
  ]
  expect(responses.map(({ status }) => status)).toEqual([401, 401, 401, 401])
})

test('what the user stored is read by link through it, as before', async () => {
  const { mediaId } = await owner.store(Buffer.from('sealed bytes'))
  const read = await createApi(nginx.url, { token: null }).read(mediaId)
  expect(read.body.toString()).toBe('sealed bytes')
  expect(readServeToken(serving.url)).not.toBeNull()
})
