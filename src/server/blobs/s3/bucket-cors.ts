import { PutBucketCorsCommand } from '@aws-sdk/client-s3'

import { tryOnce } from './retry.ts'
import { createS3Client, REQUEST_TIMEOUT_MS, type S3Connection } from './s3-connection.ts'
import { translateS3Error } from './s3-errors.ts'

const CACHE_SECONDS = 3600

/**
 * Lets web pages of these origins (`*`: of all) exchange parts with the bucket by presigned addresses. Replaces the
 * bucket's CORS rules, whatever they were. @throws unavailable
 */
export async function allowWebPages(
  connection: S3Connection,
  origins: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const rule = {
    AllowedOrigins: [...origins],
    AllowedMethods: ['GET', 'HEAD', 'PUT'],
    AllowedHeaders: ['*'],
    ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range'],
    MaxAgeSeconds: CACHE_SECONDS,
  }
  const command = new PutBucketCorsCommand({
    Bucket: connection.bucket,
    CORSConfiguration: { CORSRules: [rule] },
  })
  const client = createS3Client(connection)
  try {
    await tryOnce(connection.requestTimeoutMs ?? REQUEST_TIMEOUT_MS, signal, ({ signal: abortSignal }) =>
      client.send(command, { abortSignal }),
    )
  } catch (error) {
    signal.throwIfAborted()
    throw translateS3Error(error)
  } finally {
    client.destroy()
  }
}
