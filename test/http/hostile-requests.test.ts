/** Well-formed requests with bad intentions. */
import { randomBytes } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Limits } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { FORM, formBody } from '../support/form.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const BYTES = randomBytes(100_000)

let server: TestServer
let api: Api
let mediaId: string
let logged = ''

beforeAll(async () => {
  process.env['SEALIFT_CANARY'] = 'canary-7fd0a9'
  server = await startTestServer(
    { log: { level: 'debug' }, transfer: { partBytes: '256KiB' } },
    { logTo: { write: line => void (logged += line) } },
  )
  api = createApi(server.url, { owner: newOwner() })
  mediaId = (await api.store(BYTES)).mediaId
})
afterAll(() => server.stop())

async function ask(line: string, ...headers: string[]) {
  await using connection = await RawConnection.open(server.url)
  connection.head(`${line} HTTP/1.1`, 'Host: localhost', ...headers)
  return await connection.response({ head: line.startsWith('HEAD') })
}

test('threat 35: many or huge ranges cost one whole response at most', async () => {
  const many = `bytes=${Array.from({ length: 40 }, (_, index) => `${index}-`).join(',')}`
  for (const range of [many, many.slice(0, 255), 'bytes=0-,0-,0-', `bytes=${'9'.repeat(240)}-`]) {
    const response = await ask(`GET /v1/media/${mediaId}`, `Range: ${range}`)
    expect([200, 416]).toContain(response?.status)
    expect(response?.body.length).toBeLessThanOrEqual(BYTES.length)
  }
})

describe('threat 39 and 40: ids that are paths', () => {
  test.each([
    '..%2f..%2fetc%2fpasswd',
    '%2e%2e%2f',
    '..',
    `${'a'.repeat(26)}%00`,
    `${'a'.repeat(25)}%2f`,
    'A'.repeat(26),
    'a'.repeat(27),
    '%61'.repeat(26),
    '__proto__',
  ])('%s finds nothing', async id => {
    for (const path of [`/v1/media/${id}`, `/v1/media/${id}/info`, `/v1/parcels/${id}`, `/v1/uploads/${id}`]) {
      expect([400, 404]).toContain((await ask(`GET ${path}`))?.status)
    }
    expect((await ask(`PUT /v1/uploads/${id}/parts/0`, 'Content-Length: 0'))?.status).toBeGreaterThanOrEqual(400)
    expect((await ask(`DELETE /v1/media/${id}`))?.status).toBeGreaterThanOrEqual(400)
  })

  test.each([
    '/v1/media/../limits',
    '//v1/limits',
    '/v1/limits/',
    '/V1/limits',
    '/v1/%6cimits',
    '/v1/limits%2f',
    '/v1%2flimits',
  ])('the path %s is no way around the table', async path => {
    expect((await ask(`DELETE ${path}`))?.status).toBeGreaterThanOrEqual(404)
    const response = await ask(`GET ${path}`)
    expect(path.includes('%6c') ? [200, 404] : [404]).toContain(response?.status)
  })

  test('nothing is written outside of the data folder’s own names', async () => {
    const names = await readdir(server.dataDirectory)
    expect(names.toSorted().filter(name => !/^(blobs|records\.sqlite.*)$/.test(name))).toEqual([])
  })
})

test('threat 41: a stored script is only ever a download', async () => {
  const { mediaId: script } = await api.store(Buffer.from('<script>alert(1)</script>'))
  for (const headers of [{}, { range: 'bytes=0-9' }, { accept: 'text/html' }] as Record<string, string>[]) {
    const response = await api.read(script, headers)
    expect(response.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
    })
  }
})

test('threat 42: headers about the host are never echoed', async () => {
  const evil = 'evil.example'
  const response = await ask('GET /openapi.json', `X-Forwarded-Host: ${evil}`, `Forwarded: host=${evil}`)
  expect(response?.body.toString()).not.toContain(evil)
  const begun = await api.call('beginUpload', {}, { json: {}, headers: { origin: `https://${evil}` } })
  expect(JSON.stringify([begun.headers, begun.json])).not.toContain(evil)
})

describe('threat 44: compressed bodies', () => {
  test.each(['gzip', 'deflate', 'br', 'identity, gzip'])('are refused: %s', async encoding => {
    const headers = { 'content-encoding': encoding }
    const json = await api.call(
      'beginUpload',
      {},
      { body: gzipSync('{}'), headers: { ...headers, 'content-type': 'application/json' } },
    )
    expect(json).toMatchObject({ status: 415, code: 'unsupported_media_type' })
    const raw = await api.call('storeMedia', {}, { body: gzipSync('x'), headers: { ...headers, ...OCTETS } })
    expect(raw).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })
})

describe('threat 45: long URLs', () => {
  test('are refused', async () => {
    expect((await ask(`GET /v1/media/${'a'.repeat(2100)}`))?.status).toBe(400)
    expect((await ask(`GET /v1/limits?${'a'.repeat(2100)}`))?.status).toBe(400)
  })

  test.each(['GET http://evil.example/v1/limits', 'GET *', 'CONNECT evil.example:443', 'TRACE /v1/limits', 'GET /%'])(
    'and strange targets too: %s',
    async line => {
      expect([400, 404, 405, undefined]).toContain((await ask(line))?.status)
    },
  )
})

describe('threat 46: JSON', () => {
  const send = (body: string) => api.call('beginUpload', {}, { body, headers: { 'content-type': 'application/json' } })

  test.each([
    ['nested deeply', `${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['nested in an object', `{"a":`.repeat(20) + '1' + '}'.repeat(20)],
    ['cut short', '{"sizeBytes":'],
    ['with a prototype', '{"__proto__":{"sizeBytes":5}}'],
    ['with a number that is none', '{"sizeBytes":1e999}'],
    ['with a number as text', '{"sizeBytes":"5"}'],
    ['that is empty', ''],
    ['that is null', 'null'],
  ])('%s is refused', async (_, body) => {
    expect(await send(body)).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('larger than 64 KiB is refused before it is read', async () => {
    expect(await send(`{"a":"${'x'.repeat(70_000)}"}`)).toMatchObject({
      status: 413,
      code: 'too_large',
      json: { limit: 'requestBytes' },
    })
  })

  test('under another content type is refused', async () => {
    const response = await api.call('beginUpload', {}, { body: '{}', headers: { 'content-type': 'text/plain' } })
    expect(response).toMatchObject({ status: 415, code: 'unsupported_media_type' })
  })
})

test('threat 48: nothing but bytes that never change may be kept by a cache, and by no shared one', async () => {
  for (const path of ['/v1/limits', `/v1/media/${mediaId}/info`, '/nope']) {
    expect((await ask(`GET ${path}`))?.headers['cache-control']).toBe('no-store')
  }
  // Its own client may keep the contract, and asks each time whether it still holds.
  expect((await ask('GET /openapi.json'))?.headers['cache-control']).toBe('private, no-cache')
  expect((await ask(`GET /v1/media/${mediaId}`))?.headers['cache-control']).toMatch(/^private, max-age=\d+, immutable$/)
})

test('threat 49: cookies are neither taken nor set, and no origin gets credentials', async () => {
  const response = await ask('GET /v1/limits', 'Origin: https://evil.example', 'Cookie: token=abc')
  expect(response?.headers).not.toHaveProperty('set-cookie')
  expect(response?.headers).not.toHaveProperty('access-control-allow-credentials')
  expect(response?.headers['access-control-allow-origin']).toBe('*')
  expect((await ask('GET /v1/limits'))?.headers).toMatchObject({ vary: 'Origin' })
})

test('threat 52: a form is streamed, never held in memory', async () => {
  const before = process.memoryUsage().rss
  const file = Buffer.alloc(100 * 2 ** 20)
  const form = formBody([{ fileName: 'a', bytes: file }])
  const response = await api.call('storeMedia', {}, { body: form, headers: FORM })
  expect(response.status).toBe(200)
  // The test itself holds the file and the form.
  expect(process.memoryUsage().rss - before).toBeLessThan(2 * file.length + 80 * 2 ** 20)
})

test('threat 37: aborted uploads leave no slot, no reservation and no file', async () => {
  /** Rows of what failed stay counted until they are purged. */
  const usage = async () => ({ ...((await api.call('limits', {})).json as Limits).usage, storedRows: 0 })
  const before = await usage()
  for (let round = 0; round < 5; round++) {
    const connections = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(server.url)))
    for (const [index, connection] of connections.entries()) {
      const type = index % 2 === 0 ? 'application/octet-stream' : FORM['content-type']
      connection.head('POST /v1/media HTTP/1.1', 'Host: localhost', `Content-Type: ${type}`, 'Content-Length: 900000')
      connection.write(
        index % 2 === 0
          ? randomBytes(300_000)
          : formBody([{ fileName: 'a', bytes: randomBytes(300_000) }], { end: false }),
      )
    }
    await eventually('uploads run', async () => (await usage()).uploads > 0)
    for (const { socket } of connections) socket.destroy()
    await eventually('all is as before', async () => JSON.stringify(await usage()) === JSON.stringify(before))
  }
  expect(await usage()).toEqual(before)
})

test('threat 56: asking about an upload does not disturb it', async () => {
  const { uploadId, mediaId: pending } = await api.begin({ json: { sizeBytes: 10 } })
  await using sender = await RawConnection.open(server.url)
  sender.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', 'Content-Length: 10').write('01234')
  for (let round = 0; round < 10; round++) {
    await api.call('uploadStatus', { uploadId })
    await api.call('headMedia', { mediaId: pending })
  }
  sender.write('56789')
  expect((await sender.response())?.status).toBe(204)
})

test('threat 58: nobody chooses an id, and beginning never touches what is there', async () => {
  const first = await api.begin()
  const second = await api.call('beginUpload', {}, { json: { uploadId: first.uploadId } })
  expect(second).toMatchObject({ status: 400, code: 'invalid_request' })
  const put = await api.call('beginUpload', {}, { json: {}, headers: { 'idempotency-key': first.uploadId } })
  expect((put.json as { uploadId: string }).uploadId).not.toBe(first.uploadId)
  expect((await api.call('uploadStatus', { uploadId: first.uploadId })).status).toBe(200)
})

test('threat 60: there is nowhere to store free words', async () => {
  const response = await api.call('beginUpload', {}, { json: { metadata: 'x'.repeat(1000) } })
  expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
})

test('threat 65: neither an response nor the log tells a secret, an id that is a right, or the environment', async () => {
  const owner = newOwner()
  const mine = createApi(server.url, { owner, token: 'not-a-real-token-but-a-secret-one' })
  const refused = await mine.call('limits', {})
  const { uploadId } = await createApi(server.url, { owner }).begin()
  await api.call('readParcel', { parcelId: 'a'.repeat(26) }, { query: { k: 'query-secret' } })
  await api.read(mediaId)
  await ask('GET /v1/media/%zz')
  const told = `${logged}${JSON.stringify(refused)}${(await ask('GET /openapi.json'))?.body.toString()}`
  expect(logged.length).toBeGreaterThan(500)
  for (const secret of [owner, 'not-a-real-token', uploadId, mediaId, 'query-secret', 'canary-7fd0a9']) {
    expect(told).not.toContain(secret)
  }
})

test('threat 68: where the operator wants it, reading takes a token and keeps to a rate', async () => {
  await using strict = await startTestServer({
    access: { downloads: 'token' },
    tiers: { default: { downloadBytesPerSecond: '100KiB' } },
  })
  const there = createApi(strict.url)
  const { mediaId: paced } = await there.store(randomBytes(150 * 1024))
  const began = performance.now()
  expect((await there.read(paced)).status).toBe(200)
  expect(performance.now() - began).toBeGreaterThan(300)
  const forwarded = await there.call('readMedia', { mediaId: paced }, { headers: { 'x-forwarded-for': '203.0.113.9' } })
  expect(forwarded.status).toBe(401)
})
