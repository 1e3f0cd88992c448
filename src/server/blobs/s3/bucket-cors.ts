import { type CORSRule, GetBucketCorsCommand, PutBucketCorsCommand, type S3Client } from '@aws-sdk/client-s3'

import { tryOnce } from './request-retries.ts'
import { createS3Client, REQUEST_TIMEOUT_MS, type S3Connection } from './s3-client.ts'
import { s3Failure, translateS3Error } from './s3-errors.ts'

/** The id of this product's rule. */
const RULE = 'sealift'
const CACHE_SECONDS = 3600

/**
 * Lets web pages of these origins (`*`: all) exchange parts with the bucket by presigned URLs. It replaces the rule of
 * this id and retains all others. @throws unavailable
 */
export async function allowWebPages(
  connection: S3Connection,
  origins: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const rule: CORSRule = {
    ID: RULE,
    AllowedOrigins: [...origins],
    AllowedMethods: ['GET', 'HEAD', 'PUT'],
    AllowedHeaders: ['*'],
    ExposeHeaders: ['ETag', 'Content-Length', 'Content-Range'],
    MaxAgeSeconds: CACHE_SECONDS,
  }
  const client = createS3Client(connection)
  const bounded = <T>(call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> =>
    tryOnce(connection.requestTimeoutMs ?? REQUEST_TIMEOUT_MS, signal, current => call(current.signal))
  try {
    const others = (await bounded(abortSignal => rulesOf(client, connection, abortSignal))).filter(
      each => each.ID !== RULE,
    )
    const CORSConfiguration = { CORSRules: [...others, rule] }
    const command = new PutBucketCorsCommand({ Bucket: connection.bucket, CORSConfiguration })
    await bounded(abortSignal => client.send(command, { abortSignal }))
  } catch (error) {
    signal.throwIfAborted()
    throw translateS3Error(error)
  } finally {
    client.destroy()
  }
}

/** S3 reports a missing configuration as an error. */
async function rulesOf(
  client: S3Client,
  { bucket }: S3Connection,
  abortSignal: AbortSignal,
): Promise<readonly CORSRule[]> {
  try {
    const { CORSRules } = await client.send(new GetBucketCorsCommand({ Bucket: bucket }), { abortSignal })
    return CORSRules ?? []
  } catch (error) {
    if (s3Failure(error).code === 'NoSuchCORSConfiguration') return []
    throw error
  }
}
