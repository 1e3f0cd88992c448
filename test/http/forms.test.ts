import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { formatContentDigest } from '../../src/protocol/headers.ts'
import type { FormResult, Limits } from '../../src/protocol/schemas.ts'
import { createApi, type Api, type Reply } from '../support/api.ts'
import { BOUNDARY, FORM, formBody, type FormPart } from '../support/form.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({
    transfer: { partBytes: PART, formMaxFiles: 20 },
    tiers: { default: { maxBytes: { image: '100KiB' } } },
  })
  api = createApi(server.url)
})
afterAll(() => server.stop())

const send = (parts: readonly FormPart[], headers: Record<string, string> = {}): Promise<Reply> =>
  api.call('storeMedia', {}, { body: formBody(parts), headers: { ...FORM, ...headers } })
const resultsOf = (response: Reply) => (response.json as FormResult).results
const file = (bytes: Uint8Array | string, name = 'file'): FormPart => ({ name, fileName: 'x.bin', bytes })

async function readAll(response: Reply): Promise<readonly (Buffer | null)[]> {
  return Promise.all(
    resultsOf(response).map(async ({ media }) => (media ? (await api.read(media.mediaId)).body : null)),
  )
}

describe('a form', () => {
  test('makes one media of each file, in order, whatever their sizes', async () => {
    const files = [1, 70_000, PART, 3 * PART + 5, 17].map(size => randomBytes(size))
    const response = await send(files.map(bytes => file(bytes)))
    expect(response.status).toBe(200)
    expect(resultsOf(response).map(({ index }) => index)).toEqual([0, 1, 2, 3, 4])
    expect(await readAll(response)).toEqual(files)
  })

  test('is held against its Content-Digest, which covers the whole body', async () => {
    const parts = [file('one'), file(randomBytes(PART + 1))]
    const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('base64')
    const digest = (bytes: Uint8Array) => ({ 'content-digest': formatContentDigest(sha256(bytes)) })
    expect((await send(parts, digest(formBody(parts)))).status).toBe(200)
    expect(await send(parts, digest(Buffer.from('one')))).toMatchObject({ status: 422, code: 'digest_mismatch' })
    expect(await send(parts, { 'content-digest': '0' })).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('stores the good files although some are bad, and says of each why', async () => {
    const [one, two] = [randomBytes(1000), randomBytes(PART + 1)]
    const response = await send([file(one), file(''), file(randomBytes(200_000), 'image'), file(two)])
    expect(response.status).toBe(200)
    expect(resultsOf(response).map(({ problem }) => problem?.code ?? 'stored')).toEqual([
      'stored',
      'invalid_request',
      'too_large',
      'stored',
    ])
    expect((await readAll(response)).filter(bytes => bytes !== null)).toEqual([one, two])
  })

  test('may tell the kind of a file as the name of its field', async () => {
    const big = randomBytes(150 * 1024)
    const response = await send([file(big, 'image'), file(big, 'video'), file(big, 'photo')])
    expect(resultsOf(response).map(({ field, problem }) => [field, problem?.code])).toEqual([
      ['image', 'too_large'],
      ['video', undefined],
      ['photo', undefined],
    ])
  })

  test('skips fields that are no files', async () => {
    const response = await send([
      { name: 'caption', bytes: 'hello', headers: ['Content-Disposition: form-data; name="caption"'] },
      file('a'),
    ])
    expect(resultsOf(response)).toHaveLength(1)
  })

  test('repeated with its Idempotency-Key gives the same media', async () => {
    const parts = [file(randomBytes(10)), file(randomBytes(PART * 2))]
    const first = await send(parts, { 'idempotency-key': 'form-1' })
    const second = await send(parts, { 'idempotency-key': 'form-1' })
    expect(resultsOf(second).map(({ media }) => media?.mediaId)).toEqual(
      resultsOf(first).map(({ media }) => media?.mediaId),
    )
  })

  test('is limited in its files; those that fit are stored', async () => {
    const response = await send(Array.from({ length: 30 }, () => file('a')))
    const results = resultsOf(response)
    expect(results.filter(({ media }) => media)).toHaveLength(20)
    expect(results.at(-1)?.problem).toMatchObject({ code: 'too_large', limit: 'formMaxFiles', value: 20 })
  })

  test('reserves nothing once it is through', async () => {
    const { usage } = (await api.call('limits', {})).json as Limits
    expect(usage).toMatchObject({ reservedBytes: 0, pendingUploads: 0, uploads: 0 })
  })
})

describe('the boundary of a form', () => {
  /** As it stands on the wire: HTTP clients check and rewrite the header. */
  async function sendRaw(contentType: string, body: Buffer) {
    const connection = await RawConnection.open(server.url)
    const head = [
      'POST /v1/media HTTP/1.1',
      `Host: ${new URL(server.url).host}`,
      'Connection: close',
      `Content-Length: ${body.length}`,
    ]
    const response = await connection
      .head(...head, `Content-Type: ${contentType}`)
      .write(body)
      .response()
    return { status: response?.status, json: JSON.parse(response?.body.toString() ?? 'null') as FormResult }
  }

  const boundaries = [
    '----=_Part_5_123.456',
    'Boundary+8A1F/zz',
    'a:b',
    'a,b',
    'a?b',
    "a'b",
    'a(b)',
    'a b c',
    'a+b_c.d',
    'X'.repeat(70),
  ]
  const forms = boundaries.flatMap(boundary => [
    [boundary, `multipart/form-data; boundary=${boundary}`] as const,
    [boundary, `multipart/form-data; boundary="${boundary}"`] as const,
    [boundary, `Multipart/Form-Data;charset=utf-8;BOUNDARY=${boundary} ; boundary=other`] as const,
  ])

  test.each(forms)('%j is found in %s', async (boundary, contentType) => {
    const { status, json } = await sendRaw(contentType, formBody([file('hello', 'image')], { boundary }))
    expect({ status, fields: json.results.map(({ field }) => field) }).toEqual({ status: 200, fields: ['image'] })
  })

  test.each(['multipart/form-data; boundary=', 'multipart/form-data; boundary=""', 'multipart/form-data; boundary'])(
    'is missing in %s',
    async contentType => {
      expect((await sendRaw(contentType, formBody([file('hello')]))).status).toBe(400)
    },
  )
})

describe('the name of a field', () => {
  test.each(['Größe', '写真', 'снимок', '🎞️', 'plain'])('comes back as it was sent: %s', async name => {
    expect(resultsOf(await send([file('abc', name)]))).toMatchObject([{ field: name }])
  })

  test('that is cut inside a character stays well-formed', async () => {
    const [result] = resultsOf(await send([file('abc', `${'a'.repeat(99)}🎞️`)]))
    expect(result?.field).toBe(`${'a'.repeat(99)}\uFFFD`)
  })
})

describe('threat 36: a malformed or endless form', () => {
  test.each([
    ['no boundary', { 'content-type': 'multipart/form-data' }, formBody([file('a')])],
    ['another boundary', { 'content-type': 'multipart/form-data; boundary=other' }, formBody([file('a')])],
    ['no files', FORM, formBody([])],
    ['an end that never comes', FORM, formBody([file('abc')], { end: false })],
    ['no form at all', FORM, Buffer.from('hello')],
    ['a NUL in a header', FORM, formBody([file('a', '\0')])],
    ['headers without an end', FORM, Buffer.from(`--${BOUNDARY}\r\nX: ${'a'.repeat(40_000)}`)],
  ])('is refused: %s', async (_, headers, body) => {
    const response = await api.call('storeMedia', {}, { body, headers })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test('with thousands of empty parts ends after the first ones', async () => {
    const body = Buffer.concat([Buffer.from(`--${BOUNDARY}\r\n\r\n\r\n`.repeat(5000)), formBody([file('a')])])
    const response = await api.call('storeMedia', {}, { body, headers: FORM })
    expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
  })

  test.each(['', '__proto__', '../../etc/passwd', 'a'.repeat(10_000), '[[[[[a]]]]]'])(
    'with the field name %j stores the file all the same, and tells little of the name',
    async name => {
      const response = await send([file('abc', name)])
      const [result] = resultsOf(response)
      expect(result?.media).toBeDefined()
      expect(result?.field.length).toBeLessThanOrEqual(100)
    },
  )

  test('with a file name full of escapes is read in no time', async () => {
    const headers = [`Content-Disposition: form-data; name="a"; filename="${'\\"'.repeat(4000)}"`]
    const response = await send([{ bytes: 'abc', headers }])
    expect(resultsOf(response)).toHaveLength(1)
  })

  test('does not keep a file name anywhere in its response', async () => {
    const response = await send([{ name: 'f', fileName: 'secret-holiday.jpg', bytes: 'abc' }])
    expect(response.body.toString()).not.toContain('holiday')
  })
})
