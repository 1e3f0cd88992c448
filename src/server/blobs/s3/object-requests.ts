import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'

import type { AnswerBody } from './answer-body.ts'
import { encode } from './s3-handler.ts'

export interface ObjectRequest {
  readonly method: 'GET' | 'HEAD'
  readonly name: string
  /** As the header of that name. */
  readonly range?: string
}

export interface ObjectAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** To be read to its end or destroyed. */
  readonly body: AnswerBody
}

type Signer = Awaited<ReturnType<S3Client['config']['signer']>>

/** Where the objects of the bucket are, and who signs. */
interface Place {
  readonly base: URL
  readonly signer: Signer
}

/**
 * Requests for one object, by the SDK's signature and connections without its other steps: those take ten times as long
 * as the signature, for each part that is read. What an answer means is the caller's to know; one that is no success can
 * be asked for again through the SDK, which understands all that S3 may say.
 */
export class ObjectRequests {
  readonly #client: S3Client
  readonly #bucket: string
  #place: Promise<Place> | null = null

  constructor(client: S3Client, bucket: string) {
    this.#client = client
    this.#bucket = bucket
  }

  /** @throws what the way to the service, or finding credentials, throws */
  async send(request: ObjectRequest, abortSignal: AbortSignal): Promise<ObjectAnswer> {
    const { requestHandler, systemClockOffset } = this.#client.config
    const { base, signer } = await this.#located()
    // The SDK learns from its own answers how far the service's clock is from ours.
    const signingDate = new Date(Date.now() + systemClockOffset)
    const signed = await signer.sign(unsigned(base, request), { signingDate })
    const { response } = await requestHandler.handle(signed as Parameters<typeof requestHandler.handle>[0], {
      abortSignal,
    })
    const { statusCode: status, headers } = response
    const body = response.body as AnswerBody
    // A body that is destroyed before its end says so by an error, also when nobody reads it any more.
    body.on('error', () => undefined)
    return { status, headers, body }
  }

  #located(): Promise<Place> {
    this.#place ??= this.#locate().catch((error: unknown) => {
      this.#place = null
      throw error
    })
    return this.#place
  }

  /** The SDK alone knows how a bucket is addressed: in the path, or in the host's name. */
  async #locate(): Promise<Place> {
    const object = new GetObjectCommand({ Bucket: this.#bucket, Key: ANY_NAME })
    const url = new URL(await getSignedUrl(this.#client, object))
    const signingRegion = await this.#client.config.region()
    const signer = await this.#client.config.signer({
      name: 'sigv4',
      signingName: 's3',
      signingRegion,
      properties: {},
    })
    return { base: new URL(url.pathname.slice(0, -ANY_NAME.length), url.origin), signer }
  }
}

const ANY_NAME = 'x'

function unsigned({ protocol, hostname, port, host, pathname }: URL, { method, name, range }: ObjectRequest) {
  return {
    method,
    protocol,
    hostname,
    ...(port === '' ? {} : { port: Number(port) }),
    path: pathname + name.split('/').map(encode).join('/'),
    query: {},
    headers: {
      host,
      'x-amz-content-sha256': 'UNSIGNED-PAYLOAD',
      ...(range === undefined ? {} : { range }),
    },
  }
}
