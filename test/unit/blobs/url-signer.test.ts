import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { UrlSigner } from '../../../src/server/blobs/s3/url-signer.ts'
import { ObjectNames } from '../../../src/server/blobs/s3/object-names.ts'
import { createS3Client, type S3Connection } from '../../../src/server/blobs/s3/s3-client.ts'

const connection: S3Connection = {
  endpoint: 'https://s3.example.org:8443/under',
  region: 'somewhere',
  bucket: 'films',
  prefix: "some prefix/+ü'(1)*",
  accessKeyId: 'access',
  secretAccessKey: 'a secret',
  pathStyle: true,
}
const BLOB = 'b'.repeat(26)
const MD5 = 'CY9rzUYh03PK3k6DJie09g=='

beforeEach(() => void vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

/**
 * Where it is, and what is signed. The SDK adds the name of its operation, and that the bytes are unsigned, which is so
 * for every such URL.
 */
function factsOf(address: string) {
  const url = new URL(address)
  const { searchParams } = url
  const facts = {
    at: url.origin + url.pathname,
    signed: searchParams.get('X-Amz-SignedHeaders')?.split(';').toSorted(),
  }
  for (const added of ['x-id', 'x-amz-content-sha256']) searchParams.delete(added)
  searchParams.delete('X-Amz-Signature')
  searchParams.delete('X-Amz-SignedHeaders')
  searchParams.sort()
  return { ...facts, query: [...searchParams] }
}

describe('presigned URLs made without the middleware of the SDK', () => {
  it.each<[string, Partial<S3Connection>]>([
    ['the bucket in the path', {}],
    ['the bucket in the name of the host', { pathStyle: false }],
    ['the usual port', { endpoint: 'https://s3.example.org', pathStyle: false }],
    ['an address instead of a name', { endpoint: 'http://127.0.0.1:9000' }],
  ])('say what its own say: %s', async (_, changes) => {
    const options = { ...connection, ...changes }
    const client = createS3Client(options)
    const names = new ObjectNames(options.prefix)
    const access = new UrlSigner({ client, bucket: options.bucket, names })
    const object = { Bucket: options.bucket, Key: names.part(BLOB, 3) }

    const put = await access.upload(BLOB, 3, { sizeBytes: 42, md5Base64: MD5, ttlMs: 60_000 })
    const putBySdk = new PutObjectCommand({ ...object, ContentLength: 42, ContentMD5: MD5, IfNoneMatch: '*' })
    expect(factsOf(put.url)).toEqual(factsOf(await getSignedUrl(client, putBySdk, { expiresIn: 60 })))
    expect(factsOf(put.url).signed).toEqual(['content-length', 'content-md5', 'host', 'if-none-match'])

    const get = await access.download(BLOB, 3, 60_000)
    const getBySdk = new GetObjectCommand({
      ...object,
      ResponseContentType: 'application/octet-stream',
      ResponseContentDisposition: 'attachment',
    })
    expect(factsOf(get.url)).toEqual(factsOf(await getSignedUrl(client, getBySdk, { expiresIn: 60 })))
  })
})
