import { type S3Client, GetObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

import type { ResponseBody } from './receive-memory.ts'
import { encode } from './s3-client.ts'

export interface ObjectRequest {
  readonly method: 'GET' | 'HEAD'
  readonly name: string
  /** As the header of that name. */
  readonly range?: string
}

export interface ObjectResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** To be read to its end or destroyed. */
  readonly body: ResponseBody
}

/**
 * Requests for one object, by the SDK's signature and connections without its other steps: those take ten times as long
 * as the signature, for each part that is read. What an answer means is the caller's to know; one that is no success can
 * be asked for again through the SDK, which understands all that S3 may say.
 */
export class ObjectRequests {
  readonly #client: S3Client
  readonly #bucket: string
  readonly #located = memoizeAsync(() => this.#locate())

  constructor(client: S3Client, bucket: string) {
    this.#client = client
    this.#bucket = bucket
  }

  /** @throws what the way to the service, or finding credentials, throws */
  async send(request: ObjectRequest, abortSignal: AbortSignal): Promise<ObjectResponse> {
    const { requestHandler, systemClockOffset } = this.#client.config
    const { base, signer } = await this.#located()
    // The SDK learns from its own answers how far the service's clock is from ours.
    const signingDate = new Date(Date.now() + systemClockOffset)
    const signed = await signer.sign(unsigned(base, request), { signingDate })
    const { response } = await requestHandler.handle(signed as Parameters<typeof requestHandler.handle>[0], {
      abortSignal,
    })
    const { statusCode: status, headers } = response
    const body = response.body as ResponseBody
    // A body that is destroyed before its end says so by an error, also when nobody reads it any more.
    body.on('error', () => undefined)
    return { status, headers, body }
  }

  async #locate(): Promise<Place> {
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

/** Where the objects of the bucket are, and who signs. */
interface Place {
  readonly base: URL
  readonly signer: Awaited<ReturnType<S3Client['config']['signer']>>
}

/** SHA-256 of no bytes: GET and HEAD carry none. */
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

/** What is looked for when it is needed first, and then known; when it was not found, it is looked for again. */
export function memoizeAsync<T>(find: () => Promise<T>): () => Promise<T> {
  let found: Promise<T> | null = null
  return () =>
    (found ??= find().catch((error: unknown) => {
      found = null
      throw error
    }))
}
