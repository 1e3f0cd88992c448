import { CreateBucketCommand, ListObjectsV2Command } from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'

import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import type { CephFacts } from './engines/ceph.ts'

/** A fresh bucket with a random name, and how to reach it. */
export async function makeBucket(ceph: CephFacts): Promise<S3Connection> {
  const connection = { ...connectionTo(ceph), bucket: `test-${randomBytes(8).toString('hex')}` }
  const client = createS3Client(connection)
  try {
    await client.send(new CreateBucketCommand({ Bucket: connection.bucket }))
  } finally {
    client.destroy()
  }
  return connection
}

function connectionTo({ endpoint, region, accessKeyId, secretAccessKey }: CephFacts): S3Connection {
  return { endpoint, region, bucket: '', prefix: 'sealift/', accessKeyId, secretAccessKey, pathStyle: true }
}

/** The bucket as a server's configuration names it, for `storage.s3`. */
export function s3Settings(connection: S3Connection): Readonly<Record<string, unknown>> {
  const { endpoint, region, bucket, prefix, pathStyle, accessKeyId, secretAccessKey } = connection
  return { endpoint, region, bucket, prefix, pathStyle, accessKeyId, secretAccessKey }
}

/** Names of the objects in a bucket, up to a thousand. */
export async function objectsIn(connection: S3Connection): Promise<readonly string[]> {
  const client = createS3Client(connection)
  try {
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket: connection.bucket }))
    return (Contents ?? []).map(({ Key }) => Key ?? '')
  } finally {
    client.destroy()
  }
}
