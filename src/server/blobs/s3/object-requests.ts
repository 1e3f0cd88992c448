import { type S3Client, GetObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

import type { ResponseBody } from './receive-memory.ts'
import { encode } from './s3-client.ts'

export interface ObjectRequest {
  readonly method: 'GET' | 'HEAD'
  readonly name: string
  /** Value of the header `Range`. */
  readonly range?: string
}

export interface ObjectResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** The caller reads it to its end or destroys it. */
  readonly body: ResponseBody
}

/**
 * Requests for one object with the SDK's signature and connections, without its middleware, which takes ten times as
 * long as the signature for each part that is read. The caller interprets the response; after a failure it can repeat
 * the request through the SDK, which knows all of S3's errors.
 */
export class ObjectRequests {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #endpoint = memoizeAsync(() => this.#locate())

  constructor(client: S3Client, bucket: string) {
    this.#client = client
    this.#bucket = bucket
  }

  /** @throws errors of the network and of the credential provider */
  async send(request: ObjectRequest, abortSignal: AbortSignal): Promise<ObjectResponse> {
    const { requestHandler, systemClockOffset } = this.#client.config
    const { base, signer } = await this.#endpoint()
    // The SDK measures the offset of the service's clock by its own responses.
    const signingDate = new Date(Date.now() + systemClockOffset)
    const signed = await signer.sign(unsigned(base, request), { signingDate })
    const { response } = await requestHandler.handle(signed as Parameters<typeof requestHandler.handle>[0], {
      abortSignal,
    })
    const { statusCode: status, headers } = response
    const body = response.body as ResponseBody
    // A body emits an error when it is destroyed early, also without a reader.
    body.on('error', () => undefined)
    return { status, headers, body }
  }

  async #locate(): Promise<Endpoint> {
    const base = await locateBucket(this.#client, this.#bucket)
    const signingRegion = await this.#client.config.region()
    const signer = await this.#client.config.signer({
      name: 'sigv4',
      signingName: 's3',
      signingRegion,
      properties: {},
    })
    return { base, signer }
  }
}

/** The bucket's URL, and what signs requests to it. */
interface Endpoint {
  readonly base: URL
  readonly signer: Awaited<ReturnType<S3Client['config']['signer']>>
}

/** SHA-256 of the empty body of GET and HEAD. */
const NO_BYTES = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

function unsigned(base: URL, { method, name, range }: ObjectRequest) {
  return objectRequest(base, {
    method,
    name,
    headers: { 'x-amz-content-sha256': NO_BYTES, ...(range === undefined ? {} : { range }) },
  })
}

/** Where the objects of a bucket are, for requests that are made without the SDK's steps. */
const ANY_NAME = 'x'

/**
 * The URL prefix of the bucket's objects, from the SDK, which knows whether the bucket is in the path or in the host
 * name. @throws without credentials
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

/** A request for an object, as the SDK's signer takes it. */
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

/** Calls `compute` once and caches its result; a failure is not cached. */
export function memoizeAsync<T>(compute: () => Promise<T>): () => Promise<T> {
  let cached: Promise<T> | null = null
  return () =>
    (cached ??= compute().catch((error: unknown) => {
      cached = null
      throw error
    }))
}
