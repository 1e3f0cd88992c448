import { createHash } from 'node:crypto'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createApi, type Api } from '../support/api.ts'
import { startNginx, type Nginx } from '../support/nginx.ts'
import { bytesFor } from '../support/random.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const TOKEN = 'a-token-of-an-accelerated-client'
const bytes = bytesFor('accelerated', 3_000_000)

describe('nginx sends complete media of a Sealift that keeps files', () => {
  let server: TestServer
  let nginx: Nginx
  /** Through nginx, and straight to Sealift. */
  let through: Api
  let straight: Api

  beforeAll(async () => {
    server = await startTestServer({
      listen: { trustedProxies: ['loopback'] },
      storage: { accelerate: 'x-accel-redirect' },
      access: {
        openMode: 'off',
        tokens: [{ subject: 'someone', sha256: createHash('sha256').update(TOKEN).digest('hex') }],
      },
    })
    nginx = await startNginx({
      example: 'nginx-accelerated.conf.example',
      upstream: server.url,
      replace: [[/\/var\/lib\/sealift\/blobs/, join(server.dataDirectory, 'blobs')]],
    })
    through = createApi(nginx.url, { token: TOKEN })
    straight = createApi(server.url, { token: TOKEN })
  })

  afterAll(async () => {
    await nginx[Symbol.asyncDispose]()
    await server.stop()
  })

  /** Bytes that Sealift itself sent, by its own count. */
  const sentBySealift = async () => {
    const page = await (await fetch(`${server.adminUrl ?? ''}/metrics`)).text()
    return Number(/^sealift_transfer_bytes_total\{direction="download"\} (\d+)$/m.exec(page)?.[1] ?? 0)
  }

  test('whole, by range and by suffix, without a byte through Sealift', async () => {
    const { mediaId } = await through.store(bytes)
    const before = await sentBySealift()
    const whole = await through.read(mediaId)
    expect(whole.status).toBe(200)
    expect(whole.body.equals(bytes)).toBe(true)
    const range = await through.read(mediaId, { range: 'bytes=1000-1999' })
    expect(range).toMatchObject({ status: 206, headers: { 'content-range': `bytes 1000-1999/${bytes.length}` } })
    expect(range.body.equals(bytes.subarray(1000, 2000))).toBe(true)
    const suffix = await through.read(mediaId, { range: 'bytes=-10' })
    expect(suffix.body.equals(bytes.subarray(-10))).toBe(true)
    expect(await sentBySealift()).toBe(before)
  })

  test('carries the headers of a media item, and no others', async () => {
    const { mediaId } = await through.store(bytes)
    const [own, ours] = [await straight.call('headMedia', { mediaId }), await through.read(mediaId)]
    for (const name of [
      'etag',
      'content-type',
      'content-disposition',
      'content-length',
      'content-security-policy',
      'cross-origin-resource-policy',
      'x-content-type-options',
      'cache-control',
      'sealift-state',
      'accept-ranges',
      'vary',
    ]) {
      expect(ours.headers[name], name).toBe(own.headers[name])
    }
    expect(Object.keys(ours.headers).filter(name => name.startsWith('x-accel') || name === 'last-modified')).toEqual([])
  })

  test('what Sealift refuses, nginx does not send', async () => {
    const { mediaId } = await through.store(bytes)
    expect(await through.read(mediaId, { range: `bytes=${bytes.length}-` })).toMatchObject({ status: 416 })
    const etag = (await through.read(mediaId)).headers['etag'] ?? ''
    expect(await through.read(mediaId, { 'if-none-match': etag })).toMatchObject({ status: 304 })
    await through.call('endLease', { mediaId })
    expect(await through.read(mediaId)).toMatchObject({ status: 410 })
  })

  test('downloads are counted exactly', async () => {
    const { mediaId } = await through.store(bytes, { maxDownloads: 2 })
    const responses = await Promise.all(Array.from({ length: 10 }, () => through.read(mediaId)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(2)
    const grant = responses.find(({ status }) => status === 200)?.headers['sealift-download'] ?? ''
    const again = await through.read(mediaId, { 'sealift-download': grant, range: 'bytes=0-9' })
    expect(again).toMatchObject({ status: 206 })
  })

  test('Sealift sends it itself to whoever comes without the proxy, compares tags, or follows an upload', async () => {
    const { mediaId } = await through.store(bytes)
    const etag = (await through.read(mediaId)).headers['etag'] ?? ''
    const before = await sentBySealift()
    const compared = await through.read(mediaId, { 'if-range': etag, range: 'bytes=5-9' })
    expect(compared).toMatchObject({ status: 206 })
    expect(compared.body.equals(bytes.subarray(5, 10))).toBe(true)
    expect(await sentBySealift()).toBe(before + 5)

    const begun = await through.begin({ json: { sizeBytes: 1000 } })
    const following = through.read(begun.mediaId)
    await through.putPart(begun.uploadId, 0, bytes.subarray(0, 1000))
    await through.complete(begun.uploadId, 1000)
    expect((await following).body.equals(bytes.subarray(0, 1000))).toBe(true)
  })

  test('nobody can ask nginx for the files themselves', async () => {
    const { mediaId } = await through.store(bytes)
    for (const path of ['/sealift-files/', `/sealift-files/media/${mediaId.slice(0, 2)}/${mediaId}`]) {
      expect((await fetch(nginx.url + path)).status).toBe(404)
    }
  })

  test("a client on the proxy's machine that goes past it gets bytes, whatever it forwards", async () => {
    const { mediaId } = await straight.store(bytes)
    for (const headers of [{}, { 'x-forwarded-for': '203.0.113.7' }, { 'sealift-accelerate': 'yes' }]) {
      const response = await straight.read(mediaId, headers)
      expect(response.headers).not.toHaveProperty('x-accel-redirect')
      expect(response.body.equals(bytes)).toBe(true)
    }
    const ranged = await straight.read(mediaId, { range: 'bytes=7-16' })
    expect(ranged).toMatchObject({ status: 206 })
    expect(ranged.body.equals(bytes.subarray(7, 17))).toBe(true)
  })

  test('a client cannot ask nginx to pass on where files lie', async () => {
    const { mediaId } = await through.store(bytes)
    const response = await through.read(mediaId, { 'sealift-accelerate': 'nonsense' })
    expect(Object.keys(response.headers).filter(name => name.startsWith('x-accel'))).toEqual([])
    expect(response.body.equals(bytes)).toBe(true)
  })

  test('a client that is no trusted proxy gets bytes, not a place', async () => {
    const { mediaId } = await straight.store(bytes)
    await server.reconfigure({
      listen: { trustedProxies: [] },
    })
    const response = await straight.read(mediaId)
    expect(response.headers).not.toHaveProperty('x-accel-redirect')
    expect(response.body.equals(bytes)).toBe(true)
  })
})
