import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openS3BlobStore, type S3BlobStore } from '../../src/server/blobs/s3/blob-store.ts'
import type { DirectRequest } from '../../src/server/blobs/blob-store.ts'
import { freshId, readBytes, steady } from '../support/blob-bytes.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket } from '../support/s3-bucket.ts'

const TTL_MS = 60_000
const bytes = bytesFor('direct', 100_000)
const md5 = (of: Buffer, encoding: 'base64' | 'hex') => createHash('md5').update(of).digest(encoding)
const upload = { sizeBytes: bytes.length, md5Base64: md5(bytes, 'base64'), ttlMs: TTL_MS }

let store: S3BlobStore
beforeAll(async () => {
  store = openS3BlobStore(await makeBucket(await sharedEngine(cephEngine)))
})
afterAll(() => store[Symbol.asyncDispose]())

const put = async (url: string, headers: Readonly<Record<string, string>>, body: Buffer) =>
  (await fetch(url, { method: 'PUT', headers: withoutLength(headers), body: new Uint8Array(body) })).status
/** `fetch` sets the length by itself. */
const withoutLength = (headers: DirectRequest['headers']) => without('content-length', headers)
const without = (name: string, headers: DirectRequest['headers']) =>
  Object.fromEntries(Object.entries(headers).filter(([each]) => each !== name))

describe('an address to store a part', () => {
  it('takes the bytes it was made for; then the part is there and readable', async () => {
    const part = { blobId: freshId(), index: 0 }
    expect(await store.statPart(part, steady())).toBeNull()
    const { url, headers } = await store.presignPart(part, upload)
    expect(await put(url, headers, bytes)).toBe(200)
    const etag = `"${md5(bytes, 'hex')}"`
    expect(await store.statPart(part, steady())).toEqual({ sizeBytes: bytes.length, etag })
    const blob = { blobId: part.blobId, partBytes: bytes.length }
    expect((await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
    await store.complete(blob, bytes.length)
  })

  const other = Buffer.from(bytes)
  other[5] = (bytes[5] ?? 0) ^ 1
  it.each<[string, Buffer, (headers: DirectRequest['headers']) => DirectRequest['headers']]>([
    ['other bytes of the same length', other, headers => headers],
    ['other bytes and their MD5', other, headers => ({ ...headers, 'content-md5': md5(other, 'base64') })],
    ['fewer bytes', bytes.subarray(1), headers => headers],
    ['more bytes', Buffer.concat([bytes, bytes]), headers => headers],
    ['no MD5', bytes, headers => without('content-md5', headers)],
    ['the condition left out', bytes, headers => without('if-none-match', headers)],
  ])('refuses %s, and stores nothing', async (_, body, change) => {
    const part = { blobId: freshId(), index: 0 }
    const { url, headers } = await store.presignPart(part, upload)
    expect(await put(url, change(headers), body)).toBeGreaterThanOrEqual(400)
    expect(await store.statPart(part, steady())).toBeNull()
  })

  it('stores nothing where something is, not even by an address that was given before', async () => {
    const part = { blobId: freshId(), index: 0 }
    const [first, second] = [
      await store.presignPart(part, upload),
      await store.presignPart(part, { ...upload, md5Base64: md5(other, 'base64') }),
    ]
    expect(await put(first.url, first.headers, bytes)).toBe(200)
    expect(await put(second.url, second.headers, other)).toBe(412)
    expect(await put(first.url, first.headers, bytes)).toBe(412)
    expect((await store.statPart(part, steady()))?.etag).toBe(`"${md5(bytes, 'hex')}"`)
  })

  it('is of no use for another part, for reading or for deleting', async () => {
    const part = { blobId: freshId(), index: 7 }
    const { url, headers } = await store.presignPart(part, upload)
    expect(await put(url.replace('/7?', '/8?'), headers, bytes)).toBe(403)
    expect((await fetch(url)).status).toBe(403)
    expect((await fetch(url, { method: 'DELETE' })).status).toBe(403)
  })
})

describe('an address to read a part', () => {
  it('gives it, or a range of it, as a file of bytes', async () => {
    const part = { blobId: freshId(), index: 3 }
    const { url, headers } = await store.presignPart(part, upload)
    await put(url, { ...headers, 'content-type': 'text/html' }, bytes)
    const read = await store.presignRead(part, TTL_MS)
    const whole = await fetch(read.url)
    expect(whole.headers.get('content-type')).toBe('application/octet-stream')
    expect(whole.headers.get('content-disposition')).toBe('attachment')
    expect(Buffer.from(await whole.arrayBuffer()).equals(bytes)).toBe(true)
    const range = await fetch(read.url, { headers: { range: 'bytes=10-19' } })
    expect(range.status).toBe(206)
    expect(Buffer.from(await range.arrayBuffer())).toEqual(bytes.subarray(10, 20))
  })

  it('ends when its time is over', async () => {
    const part = { blobId: freshId(), index: 0 }
    const { url, headers } = await store.presignPart(part, upload)
    await put(url, headers, bytes)
    const read = await store.presignRead(part, 1000)
    const signedAt = new URL(read.url).searchParams.get('X-Amz-Date') ?? ''
    const anHourAgo = `${signedAt.slice(0, 9)}${String((Number(signedAt.slice(9, 11)) + 23) % 24).padStart(2, '0')}`
    expect((await fetch(read.url.replace(signedAt.slice(0, 11), anHourAgo))).status).toBe(403)
    expect(new URL(read.url).searchParams.get('X-Amz-Expires')).toBe('1')
  })
})

it('signs for the address that clients use', async () => {
  const bucket = await makeBucket(await sharedEngine(cephEngine))
  await using elsewhere = openS3BlobStore({ ...bucket, publicEndpoint: 'https://media.example.org:8443' })
  const { url } = await elsewhere.presignRead({ blobId: freshId(), index: 0 }, TTL_MS)
  expect(url.startsWith(`https://media.example.org:8443/${bucket.bucket}/sealift/media/`)).toBe(true)
  expect(url).not.toContain(bucket.secretAccessKey)
})
