import { S3Client } from '@aws-sdk/client-s3'

import type { ReceiveMemory } from './receive-memory.ts'
import { createS3Handler } from './s3-handler.ts'

/** Where the bucket is and how to speak to it. */
export interface S3Connection {
  /** http or https URL of the service. */
  readonly endpoint: string
  readonly region: string
  readonly bucket: string
  /** What every object name begins with; empty, or ending with `/`. */
  readonly prefix: string
  /** Both `null`: found where AWS's own tools look (variables, the machine's role). */
  readonly accessKeyId: string | null
  readonly secretAccessKey: string | null
  /** The bucket in the path, instead of in the host name. */
  readonly pathStyle: boolean
  /** How long making a connection may take; 5000 ms by default. */
  readonly connectTimeoutMs?: number
  /** How long one try of one call may take to answer and, while bytes move, how long without any; 30 000 ms by default. */
  readonly requestTimeoutMs?: number
  /** Connections to the service at most, for reading and for everything else, each; 256 by default. */
  readonly maxSockets?: number
}

export interface S3ClientMemory {
  /** For bytes that come from the service; by default each read has a buffer of Node's. */
  readonly receive?: ReceiveMemory
}

export const REQUEST_TIMEOUT_MS = 30_000
/** The SDK would write to the console; whoever calls learns of every failure. */
const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
const CONNECT_TIMEOUT_MS = 5000
const MAX_SOCKETS = 256

/**
 * The SDK's client with settings that every S3-compatible service takes: no trailers, no checksums of its own, no
 * `Expect`. It does not retry; see `retry.ts`. Whoever makes it destroys it.
 */
export function createS3Client(connection: S3Connection, { receive }: S3ClientMemory = {}): S3Client {
  const { accessKeyId, secretAccessKey, endpoint, region, pathStyle } = connection
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: pathStyle,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    maxAttempts: 1,
    logger: SILENT,
    requestHandler: createS3Handler({
      connectTimeoutMs: connection.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      maxSockets: connection.maxSockets ?? MAX_SOCKETS,
      ...(receive && { memory: receive }),
    }),
    ...(accessKeyId === null || secretAccessKey === null ? {} : { credentials: { accessKeyId, secretAccessKey } }),
  })
  sendPayloadsUnsigned(client)
  return client
}

function ignore(): void {}

/** The bytes are sealed, and whoever reads them proves them: hashing them once more for the signature buys nothing. */
function sendPayloadsUnsigned(client: S3Client): void {
  client.middlewareStack.add(
    next => args => {
      const { request } = args
      if (isPutRequest(request)) request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'sealiftUnsignedPayload' },
  )
}

interface PutRequest {
  readonly method: 'PUT'
  readonly headers: Record<string, string>
}

function isPutRequest(request: unknown): request is PutRequest {
  return typeof request === 'object' && request !== null && 'method' in request && request.method === 'PUT'
}
