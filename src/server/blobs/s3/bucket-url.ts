/** Where the objects of a bucket are, for requests that are made without the SDK's steps. */
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

import { encode } from './s3-handler.ts'

const ANY_NAME = 'x'

/**
 * What the addresses of all objects of the bucket begin with. The SDK alone knows how a bucket is addressed: in the path,
 * or in the host's name. @throws when there are no credentials
 */
export async function locateBucket(client: S3Client, bucket: string): Promise<URL> {
  const url = new URL(await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: ANY_NAME })))
  return new URL(url.pathname.slice(0, -ANY_NAME.length), url.origin)
}

export interface ObjectRequestParts {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  readonly name: string
  readonly headers: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string>>
}

/** A request for an object of the bucket, as the SDK's signer takes it. */
export function objectRequest(base: URL, { method, name, headers, query = {} }: ObjectRequestParts) {
  const { protocol, hostname, port, host, pathname } = base
  return {
    method,
    protocol,
    hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    path: pathname + name.split('/').map(encode).join('/'),
    query: { ...query },
    headers: { host, ...headers },
  }
}
