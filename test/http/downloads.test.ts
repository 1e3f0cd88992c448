import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createApi, type Api } from '../support/api.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const BYTES = randomBytes(2 * PART + 1234)

let server: TestServer
let api: Api
let mediaId: string
let etag: string

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: PART } })
  api = createApi(server.url)
  const media = await api.store(BYTES)
  mediaId = media.mediaId
  etag = media.etag
})
afterAll(() => server.stop())

describe('a media', () => {
  test('comes whole, with its length, validator and safe headers', async () => {
    const response = await api.read(mediaId)
    expect(response.status).toBe(200)
    expect(response.body.equals(BYTES)).toBe(true)
    expect(response.headers).toMatchObject({
      'content-length': String(BYTES.length),
      'content-type': 'application/octet-stream',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cross-origin-resource-policy': 'cross-origin',
      'accept-ranges': 'bytes',
      'sealift-state': 'complete',
      etag,
    })
    expect(response.headers).not.toHaveProperty('sealift-download')
  })

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=5-9', 5, 10],
    [`bytes=${PART - 1}-${PART}`, PART - 1, PART + 1],
    [`bytes=${PART}-`, PART, BYTES.length],
    ['bytes=-1', BYTES.length - 1, BYTES.length],
    ['bytes=-999999999', 0, BYTES.length],
    ['bytes=100-999999999', 100, BYTES.length],
  ])('returns %s with exactly those bytes', async (range, start, end) => {
    const response = await api.read(mediaId, { range })
    expect(response.status).toBe(206)
    expect(response.headers).toMatchObject({
      'content-range': `bytes ${start}-${end - 1}/${BYTES.length}`,
      'content-length': String(end - start),
      etag,
    })
    expect(response.body.equals(BYTES.subarray(start, end))).toBe(true)
  })

  test.each([`bytes=${BYTES.length}-`, 'bytes=-0'])('returns %s with 416 and its size', async range => {
    const response = await api.read(mediaId, { range })
    expect(response).toMatchObject({ status: 416, code: 'range_not_satisfiable', json: { sizeBytes: BYTES.length } })
    expect(response.headers['content-range']).toBe(`bytes */${BYTES.length}`)
  })

  test.each(['bytes=0-1,3-4', 'items=0-1', 'bytes=x', `bytes=${'0'.repeat(256)}-1`])(
    'comes whole when the range cannot be honoured: %s',
    async range => {
      const response = await api.read(mediaId, { range })
      expect(response.status).toBe(200)
      expect(response.body.length).toBe(BYTES.length)
    },
  )

  test('honours a range only if If-Range names its validator', async () => {
    const range = 'bytes=0-4'
    expect((await api.read(mediaId, { range, 'if-range': etag })).status).toBe(206)
    expect((await api.read(mediaId, { range, 'if-range': '"other"' })).status).toBe(200)
    expect((await api.read(mediaId, { range, 'if-range': `W/${etag}` })).status).toBe(200)
    expect((await api.read(mediaId, { range, 'if-range': 'Sun, 22 Nov 2026 00:00:00 GMT' })).status).toBe(200)
  })

  test.each([
    ['its validator', () => etag],
    ['a list with its validator', () => `"a", W/${etag} ,"b"`],
    ['anything', () => '*'],
  ])('is not sent again to a client that has %s', async (_, header) => {
    const response = await api.read(mediaId, { 'if-none-match': header() })
    expect(response).toMatchObject({ status: 304, headers: { etag } })
    expect(response.body.length).toBe(0)
  })

  test('is sent again to a client that has something else', async () => {
    expect((await api.read(mediaId, { 'if-none-match': '"a", "b"' })).status).toBe(200)
  })

  test('tells its headers to HEAD, whatever the range', async () => {
    const response = await api.call('headMedia', { mediaId }, { headers: { range: 'bytes=0-1' } })
    expect(response.status).toBe(200)
    expect(response.headers).toMatchObject({ 'content-length': String(BYTES.length), etag, 'accept-ranges': 'bytes' })
    expect(response.body.length).toBe(0)
  })

  test('has facts', async () => {
    const response = await api.call('mediaInfo', { mediaId })
    expect(response.json).toMatchObject({ mediaId, state: 'complete', sizeBytes: BYTES.length, etag })
  })

  test('that never existed returns 404 to everything', async () => {
    const absent = { mediaId: 'a'.repeat(26) }
    expect(await api.read(absent.mediaId)).toMatchObject({ status: 404, code: 'not_found' })
    expect((await api.call('headMedia', absent)).status).toBe(404)
    expect(await api.call('mediaInfo', absent)).toMatchObject({ status: 404, code: 'not_found' })
    expect(await api.call('forwardMedia', absent, { json: {} })).toMatchObject({ status: 404, code: 'not_found' })
    expect(await api.call('endLease', absent)).toMatchObject({ status: 404, code: 'not_found' })
  })

  test('may be kept by the client itself while its lease lasts, by no one else', async () => {
    const { mediaId: short } = await api.store(randomBytes(9), { ttlSeconds: 100 })
    const [, maxAge] =
      /^private, max-age=(\d+), immutable$/.exec((await api.read(short)).headers['cache-control'] ?? '') ?? []
    expect(Number(maxAge)).toBeGreaterThan(90)
    expect(Number(maxAge)).toBeLessThanOrEqual(100)
    const { mediaId: counted } = await api.store(randomBytes(9), { maxDownloads: 3 })
    expect((await api.read(counted)).headers['cache-control']).toBe('private, no-store')
  })

  test('comes to many readers at once, each whole', async () => {
    const responses = await Promise.all(Array.from({ length: 40 }, () => api.read(mediaId)))
    expect(responses.every(({ status, body }) => status === 200 && body.equals(BYTES))).toBe(true)
  })

  test('comes over one connection again and again', async () => {
    await using connection = await RawConnection.open(server.url)
    for (let round = 0; round < 3; round++) {
      connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
      expect((await connection.response())?.body.equals(BYTES)).toBe(true)
      connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', 'Range: bytes=1-2')
      expect((await connection.response())?.body.equals(BYTES.subarray(1, 3))).toBe(true)
    }
  })

  test('comes in the order asked when requests are sent ahead', async () => {
    await using connection = await RawConnection.open(server.url)
    for (let start = 0; start < 10; start++) {
      connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', `Range: bytes=${start}-${start + 4}`)
    }
    for (let start = 0; start < 10; start++) {
      expect((await connection.response())?.body.equals(BYTES.subarray(start, start + 5))).toBe(true)
    }
  })
})

describe('a web page on another origin', () => {
  test('may read what it needs', async () => {
    const response = await api.read(mediaId, { origin: 'https://app.example' })
    expect(response.headers['access-control-allow-origin']).toBe('*')
    for (const header of ['ETag', 'Content-Range', 'Content-Length', 'Sealift-Download']) {
      expect(response.headers['access-control-expose-headers']).toContain(header)
    }
  })

  test('may ask first', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head(`OPTIONS /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', 'Origin: https://app.example')
    const response = await connection.response()
    expect(response).toMatchObject({ status: 204, headers: { 'access-control-allow-methods': 'GET, HEAD, DELETE' } })
    expect(response?.headers['access-control-allow-headers']).toContain('Range')
  })

  test('is refused where it is not on the list of the operator', async () => {
    await using strict = await startTestServer({ cors: { origins: ['https://app.example'] } })
    const listed = await fetch(`${strict.url}/healthz`, { headers: { origin: 'https://app.example' } })
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://app.example')
    expect(listed.headers.get('vary')).toBe('Origin')
    const other = await fetch(`${strict.url}/healthz`, { headers: { origin: 'https://evil.example' } })
    expect(other.headers.get('access-control-allow-origin')).toBeNull()
    expect(other.headers.get('vary')).toBe('Origin')
  })
})
