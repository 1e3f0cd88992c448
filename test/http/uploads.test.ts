import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { formatContentDigest } from '../../src/protocol/headers.ts'
import type { Limits, UploadStatus } from '../../src/protocol/schemas.ts'
import { createApi, limitsButRows, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const ABSENT = 'a'.repeat(26)

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: PART } })
  api = createApi(server.url)
})
afterAll(() => server.stop())

const digestOf = (bytes: Uint8Array) => ({
  'content-digest': formatContentDigest(createHash('sha256').update(bytes).digest('base64')),
})
const split = (bytes: Uint8Array) =>
  Array.from({ length: Math.ceil(bytes.length / PART) }, (_, index) => bytes.subarray(index * PART, (index + 1) * PART))
const statusOf = async (uploadId: string) => (await api.call('uploadStatus', { uploadId })).json as UploadStatus

describe('an upload in parts', () => {
  test('takes parts in any order and in parallel, and returns the same bytes', async () => {
    const bytes = randomBytes(3 * PART + 77)
    const { uploadId, mediaId, partBytes } = await api.begin({ json: { sizeBytes: bytes.length } })
    expect(partBytes).toBe(PART)
    const parts = [...split(bytes).entries()].toReversed()
    const responses = await Promise.all(
      parts.map(([index, part]) => api.putPart(uploadId, index, part, digestOf(part))),
    )
    expect(responses.map(({ status }) => status)).toEqual([204, 204, 204, 204])
    const media = await api.complete(uploadId, bytes.length)
    expect(media.json).toMatchObject({ mediaId, state: 'complete', sizeBytes: bytes.length })
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
  })

  test('needs no size when it begins, and fixes it when it completes', async () => {
    const bytes = randomBytes(PART + 5)
    const { uploadId, mediaId } = await api.begin()
    for (const [index, part] of split(bytes).entries()) await api.putPart(uploadId, index, part)
    expect((await api.complete(uploadId, bytes.length)).json).toMatchObject({ sizeBytes: bytes.length })
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
  })

  test('tells which parts are durable, so that only the others are sent again', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 6 * PART } })
    for (const index of [0, 1, 2, 5]) await api.putPart(uploadId, index, randomBytes(PART))
    expect(await statusOf(uploadId)).toMatchObject({
      state: 'uploading',
      parts: [
        [0, 2],
        [5, 5],
      ],
      durableBytes: 4 * PART,
      sizeBytes: 6 * PART,
    })
  })

  test('returns a repeated complete as the first one', async () => {
    const bytes = randomBytes(10)
    const { uploadId } = await api.begin()
    await api.putPart(uploadId, 0, bytes)
    const first = await api.complete(uploadId, 10)
    const second = await api.complete(uploadId, 10)
    expect(second).toMatchObject({ status: 200, json: first.json })
    expect(await api.complete(uploadId, 11)).toMatchObject({ status: 409, code: 'size_mismatch' })
  })

  test('takes no part once it is complete', async () => {
    const { uploadId } = await api.begin()
    await api.putPart(uploadId, 0, randomBytes(10))
    await api.complete(uploadId, 10)
    expect(await api.putPart(uploadId, 1, randomBytes(10))).toMatchObject({ status: 409, code: 'upload_complete' })
    expect(await statusOf(uploadId)).toMatchObject({ state: 'complete', parts: [[0, 0]], durableBytes: 10 })
    expect(await api.call('abortUpload', { uploadId })).toMatchObject({ status: 409, code: 'upload_complete' })
  })

  test('does not complete while parts are missing, and names them', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 4 * PART } })
    await api.putPart(uploadId, 1, randomBytes(PART))
    const response = await api.complete(uploadId, 4 * PART)
    expect(response).toMatchObject({ status: 409, code: 'parts_missing' })
    expect(response.json).toMatchObject({
      missing: [
        [0, 0],
        [2, 3],
      ],
    })
  })

  test('is gone once it was given up, its media too', async () => {
    const before = await limitsButRows(api)
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: PART } })
    await api.putPart(uploadId, 0, randomBytes(PART))
    expect((await api.call('abortUpload', { uploadId })).status).toBe(204)
    expect(await limitsButRows(api)).toEqual(before)
    expect((await api.call('abortUpload', { uploadId })).status).toBe(204)
    expect(await api.putPart(uploadId, 0, randomBytes(PART))).toMatchObject({ status: 410, code: 'gone' })
    expect(await api.complete(uploadId, PART)).toMatchObject({ status: 410, code: 'gone' })
    expect(await api.call('uploadStatus', { uploadId })).toMatchObject({ status: 410, code: 'gone' })
    expect(await api.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
  })

  test('that does not exist returns 404 to every verb', async () => {
    expect(await api.putPart(ABSENT, 0, randomBytes(1))).toMatchObject({ status: 404, code: 'not_found' })
    expect(await api.complete(ABSENT, 1)).toMatchObject({ status: 404, code: 'not_found' })
    expect(await api.call('uploadStatus', { uploadId: ABSENT })).toMatchObject({ status: 404, code: 'not_found' })
    expect(await api.call('abortUpload', { uploadId: ABSENT })).toMatchObject({ status: 404, code: 'not_found' })
  })
})

describe('a part', () => {
  test('is refused when its bytes are not those of its digest, and may then be sent again', async () => {
    const bytes = randomBytes(PART)
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    const wrong = await api.putPart(uploadId, 0, bytes, digestOf(randomBytes(4)))
    expect(wrong).toMatchObject({ status: 422, code: 'digest_mismatch' })
    expect(await statusOf(uploadId)).toMatchObject({ parts: [] })
    expect((await api.putPart(uploadId, 0, bytes, digestOf(bytes))).status).toBe(204)
  })

  test('with a digest that cannot be read is refused, not stored unchecked', async () => {
    const { uploadId } = await api.begin()
    const response = await api.putPart(uploadId, 0, randomBytes(9), { 'content-digest': 'md5=:AAAA:' })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('that is durable may be repeated, but never changes', async () => {
    const bytes = randomBytes(PART)
    const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: 2 * PART } })
    expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
    expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
    const other = Uint8Array.from(bytes)
    other[PART - 1] = (other[PART - 1] ?? 0) ^ 1
    expect(await api.putPart(uploadId, 0, other)).toMatchObject({ status: 409, code: 'part_conflict' })
    await api.putPart(uploadId, 1, bytes)
    await api.complete(uploadId, 2 * PART)
    expect((await api.read(mediaId)).body.equals(Buffer.concat([bytes, bytes]))).toBe(true)
  })

  test.each([
    ['a middle part that is short', 1, PART - 1],
    ['a last part that is long', 2, 100],
    ['a part past the end', 3, PART],
  ])('of a length that the declared size does not allow is refused: %s', async (_, index, length) => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 2 * PART + 99 } })
    const response = await api.putPart(uploadId, index, randomBytes(length))
    expect(response).toMatchObject({ status: 409, code: 'size_mismatch' })
  })

  test('larger than a part of this upload is refused, naming the limit', async () => {
    const { uploadId } = await api.begin()
    const response = await api.putPart(uploadId, 0, randomBytes(PART + 1))
    expect(response).toMatchObject({ status: 413, code: 'too_large', json: { limit: 'partBytes', value: PART } })
  })

  test('needs its length', async () => {
    const { uploadId } = await api.begin()
    const chunked = (async function* () {
      yield Buffer.from('abc')
    })()
    const response = await api.call('putPart', { uploadId, index: 0 }, { body: chunked as never, headers: OCTETS })
    expect(response).toMatchObject({ status: 411, code: 'length_required' })
  })

  test.each(['-1', '01', '1e1', 'x', '99999999'])('has a whole number as its index, not %s', async index => {
    const { uploadId } = await api.begin()
    const response = await api.call('putPart', { uploadId, index }, { body: Buffer.from('a'), headers: OCTETS })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('is not asked for before it is sure to be taken', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head(
      `PUT /v1/uploads/${ABSENT}/parts/0 HTTP/1.1`,
      'Host: localhost',
      'Content-Length: 100000',
      'Expect: 100-continue',
    )
    await connection.until(() => connection.received.includes('\r\n\r\n'))
    expect(connection.received.toString()).toMatch(/^HTTP\/1\.1 404 /)
    const response = await connection.response()
    expect(response?.headers['connection']).toBe('close')
    await connection.closed()
  })

  test('is asked for with 100 Continue when all else is sure', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 5 } })
    await using connection = await RawConnection.open(server.url)
    connection.head(
      `PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`,
      'Host: localhost',
      'Content-Length: 5',
      'Expect: 100-continue',
    )
    await connection.until(() => connection.received.includes('\r\n\r\n'))
    expect(connection.received.toString()).toMatch(/^HTTP\/1\.1 100 Continue\r\n/)
    connection.write('hello')
    expect((await connection.response())?.status).toBe(204)
  })

  test('that is idle is taken over by a newer request for it', async () => {
    const bytes = randomBytes(PART)
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    await using dead = await RawConnection.open(server.url)
    dead.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`)
    dead.write(bytes.subarray(0, 1000))
    await new Promise(resolve => {
      setTimeout(resolve, 50)
    })
    expect((await api.putPart(uploadId, 0, bytes, digestOf(bytes))).status).toBe(204)
    expect((await dead.response())?.status).toBe(503)
    expect((await api.complete(uploadId, PART)).status).toBe(200)
  })

  test('that is still in flight when its upload is given up is cut at once', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: 2 * PART } })
    await using sender = await RawConnection.open(server.url)
    sender.head(`PUT /v1/uploads/${uploadId}/parts/1 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`)
    sender.write(randomBytes(1000))
    const uploads = async () => ((await api.call('limits', {})).json as Limits).usage.uploads
    await eventually('it is received', async () => (await uploads()) === 1)
    expect((await api.call('abortUpload', { uploadId })).status).toBe(204)
    expect((await sender.response())?.status).toBe(410)
    await eventually('its slot is free', async () => (await uploads()) === 0)
  })
})

describe('Idempotency-Key', () => {
  test('makes a repeated begin response with the same upload', async () => {
    const headers = { 'idempotency-key': 'begin-1' }
    const first = await api.begin({ json: { sizeBytes: 10 }, headers })
    expect(await api.begin({ json: { sizeBytes: 10 }, headers })).toEqual(first)
    const other = await api.call('beginUpload', {}, { json: { sizeBytes: 11 }, headers })
    expect(other).toMatchObject({ status: 409, code: 'idempotency_conflict' })
  })

  test('that is malformed is refused', async () => {
    const response = await api.call('beginUpload', {}, { json: {}, headers: { 'idempotency-key': 'x'.repeat(129) } })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })
})

describe('a begin', () => {
  test.each([
    ['an unknown field', { size: 5 }],
    ['a negative size', { sizeBytes: -1 }],
    ['no size at all', { sizeBytes: 0 }],
    ['a fraction', { sizeBytes: 1.5 }],
    ['an unknown kind', { kind: 'film' }],
    ['a list', []],
  ])('with %s is refused', async (_, json) => {
    const response = await api.call('beginUpload', {}, { json })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('that asks for a longer life than the tier allows is refused, naming the limit', async () => {
    const response = await api.call('beginUpload', {}, { json: { ttlSeconds: 91 * 86_400 } })
    expect(response).toMatchObject({
      status: 400,
      code: 'invalid_request',
      json: { limit: 'maxTtlSeconds', value: 90 * 86_400 },
    })
  })

  test('larger than its kind allows is refused, naming the limit', async () => {
    const response = await api.call('beginUpload', {}, { json: { kind: 'image', sizeBytes: 600 * 2 ** 20 } })
    expect(response).toMatchObject({ status: 413, code: 'too_large', json: { value: 512 * 2 ** 20 } })
  })
})
