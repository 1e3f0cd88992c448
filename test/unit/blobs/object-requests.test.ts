import { GetObjectCommand } from '@aws-sdk/client-s3'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'

import { ObjectRequests } from '../../../src/server/blobs/s3/object-requests.ts'
import { createS3Client, type S3Connection } from '../../../src/server/blobs/s3/s3-client.ts'
import { steady } from '../../support/blob-bytes.ts'

const connection: S3Connection = {
  endpoint: 'https://s3.example.org:8443/under',
  region: 'somewhere',
  bucket: 'films',
  prefix: '',
  accessKeyId: 'access',
  secretAccessKey: 'a secret',
  pathStyle: true,
}

/** A client, and what it would have sent. */
function recorder(options: Partial<S3Connection> = {}) {
  const client = createS3Client({ ...connection, ...options })
  const sent: Sent[] = []
  client.config.requestHandler.handle = request => {
    sent.push(request)
    return Promise.resolve({ response: { statusCode: 200, headers: {}, body: Readable.from([]) } }) as never
  }
  return { client, sent }
}

interface Sent {
  readonly protocol: string
  readonly hostname: string
  readonly port?: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

const placeOf = ({ protocol, hostname, port, path, headers }: Sent) => ({
  address: new URL(`${protocol}//${hostname}:${port ?? ''}${path}`).href,
  host: headers['host'],
})

describe('requests for objects without the steps of the SDK', () => {
  it.each([
    ['the bucket in the path', {}],
    ['the bucket in the name of the host', { pathStyle: false }],
    ['the usual port', { endpoint: 'https://s3.example.org', pathStyle: false }],
    ['an address instead of a name', { endpoint: 'http://127.0.0.1:9000' }],
  ])('go where the SDK goes: %s', async (_, options) => {
    const { client, sent } = recorder(options)
    const name = "some prefix/+ü'(1)*/media/x/17"
    await new ObjectRequests(client, 'films').send({ method: 'GET', name, range: 'bytes=0-9' }, steady())
    await client.send(new GetObjectCommand({ Bucket: 'films', Key: name, Range: 'bytes=0-9' }))
    const [ours, theirs] = sent.map(placeOf)
    expect(ours).toEqual(theirs)
  })

  it('are signed with the range, at the time by the clock of the service', async () => {
    const { client, sent } = recorder()
    client.config.systemClockOffset = 3 * 86_400_000
    await new ObjectRequests(client, 'films').send({ method: 'GET', name: 'x', range: 'bytes=0-9' }, steady())
    const { authorization = '', range, 'x-amz-date': date = '' } = sent[0]?.headers ?? {}
    expect(authorization).toMatch(/SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,/)
    expect(authorization).toMatch(/Credential=access\/\d{8}\/somewhere\/s3\/aws4_request/)
    expect(range).toBe('bytes=0-9')
    const inThreeDays = new Date(Date.now() + 3 * 86_400_000).toISOString().slice(0, 10)
    expect(date.slice(0, 8)).toBe(inThreeDays.replaceAll('-', ''))
  })
})
