import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandOutput,
  HeadObjectCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { addAbortSignal, type Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'

import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobRange, StoredPart } from '../blob-store.ts'
import type { ResponseBody, ReceiveMemory } from './receive-memory.ts'
import { type ObjectResponse, ObjectRequests } from './object-requests.ts'
import { type RetryPolicy, type Try, tryOnce, withRetries } from './request-retries.ts'
import { BrokenResponse, isAbsent, isPastEnd, translateS3Error } from './s3-errors.ts'

export interface S3ServiceOptions {
  /** For reads: a slow reader holds one of its connections. */
  readonly reader: S3Client
  /** For everything else. */
  readonly client: S3Client
  /** Where `reader` receives. */
  readonly memory: ReceiveMemory
  readonly bucket: string
  readonly retry: RetryPolicy
}

export interface StoredObject {
  readonly name: string
  readonly sizeBytes: number
  /** Wall-clock ms, by the service's clock. */
  readonly modifiedAt: number
}

/** A body that can be opened once per try. */
export interface ObjectBody {
  readonly sizeBytes: number
  open(current: Try): Uint8Array | Readable
}

/**
 * The five S3 calls that the store needs: each with a deadline, a check of the response, and retries where they are
 * safe.
 */
export class S3Service {
  readonly #options: S3ServiceOptions
  readonly #objects: ObjectRequests
  readonly #reading: ObjectRequests

  constructor(options: S3ServiceOptions) {
    this.#options = options
    this.#objects = new ObjectRequests(options.client, options.bucket)
    this.#reading = new ObjectRequests(options.reader, options.bucket)
  }

  get memory(): ReceiveMemory {
    return this.#options.memory
  }

  get retry(): RetryPolicy {
    return this.#options.retry
  }

  /** Stores or replaces an object. @throws storage_full, unavailable */
  async put(name: string, body: ObjectBody, signal: AbortSignal): Promise<void> {
    await this.#retried(signal, current => this.#putOnce(name, body, current))
  }

  /** As `put`, for a body that can be read only once. */
  async putOnce(name: string, body: ObjectBody, signal: AbortSignal): Promise<void> {
    try {
      await tryOnce(this.retry.tryTimeoutMs, signal, current => this.#putOnce(name, body, current))
    } catch (error) {
      signal.throwIfAborted()
      throw translateS3Error(error)
    }
  }

  /**
   * Requests a range once; the caller reads the body to its end or destroys it. @throws damaged when the range is not
   * complete; the SDK's errors
   */
  async get(name: string, range: BlobRange, current: Try): Promise<ResponseBody> {
    try {
      const response = await this.#requestRange(name, range, current.signal)
      const problem = rangeProblem(response, range)
      if (problem === null && !current.signal.aborted) return response.body
      response.body.destroy()
      throw problem ?? current.signal.reason
    } catch (error) {
      if (isAbsent(error)) throw new SealiftError('damaged', 'Stored bytes are missing: run `sealift fsck`')
      if (isPastEnd(error)) throw tooShort()
      throw error
    }
  }

  /** All bytes of a small object. @throws damaged, unavailable */
  getWhole(name: string, sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    return this.#retried(signal, async current => buffer(await this.get(name, { start: 0, end: sizeBytes }, current)))
  }

  /** `null` when it is not there. @throws unavailable */
  head(name: string, signal: AbortSignal): Promise<StoredPart | null> {
    return this.#retried(signal, async ({ signal: abortSignal }) => {
      const { status, headers } = await this.#objects.send({ method: 'HEAD', name }, abortSignal)
      if (status === 404) return null
      if (isBusy(status)) throw failureOf(status, '')
      if (status !== 200) return this.#headBySdk(name, abortSignal)
      return storedPart(lengthOf(headers), headers['etag'])
    })
  }

  /** No error when it is not there. @throws unavailable */
  async delete(name: string, signal: AbortSignal): Promise<void> {
    await this.#retried(signal, async ({ signal: abortSignal }) => {
      try {
        const { $metadata } = await this.#options.client.send(new DeleteObjectCommand(this.#named(name)), {
          abortSignal,
        })
        if ($metadata.httpStatusCode === 204) return
      } catch (error) {
        if (isAbsent(error)) return
        throw error
      }
      // Some services send an error in the body of a 200.
      if (await this.#exists(name, abortSignal)) throw new BrokenResponse('The object is still there')
    })
  }

  /** Every object whose name begins with `prefix`, by name. @throws unavailable */
  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<StoredObject> {
    let token: string | undefined
    do {
      const page = await this.#page(prefix, token, signal)
      for (const { Key: name, Size: sizeBytes, LastModified } of page.Contents ?? []) {
        if (name === undefined || sizeBytes === undefined) continue
        yield { name, sizeBytes, modifiedAt: LastModified?.getTime() ?? Date.now() }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  async #requestRange(name: string, { start, end }: BlobRange, abortSignal: AbortSignal): Promise<RangeResponse> {
    const range = `bytes=${start}-${end - 1}`
    const { status, headers, body } = await this.#reading.send({ method: 'GET', name, range }, abortSignal)
    if (status === 206) return { range: headers['content-range'], lengthBytes: lengthOf(headers), body }
    const failure = failureOf(status, await text(addAbortSignal(abortSignal, body)))
    if (failure.name !== SKEWED) throw failure
    const command = new GetObjectCommand({ ...this.#named(name), Range: range })
    const output = await this.#options.reader.send(command, { abortSignal })
    return { range: output.ContentRange, lengthBytes: output.ContentLength, body: bodyOf(output) }
  }

  /** The SDK interprets what the plain HEAD does not. */
  async #headBySdk(name: string, abortSignal: AbortSignal): Promise<StoredPart | null> {
    try {
      const output = await this.#options.client.send(new HeadObjectCommand(this.#named(name)), { abortSignal })
      return storedPart(output.ContentLength, output.ETag)
    } catch (error) {
      if (isAbsent(error)) return null
      throw error
    }
  }

  async #putOnce(name: string, body: ObjectBody, current: Try): Promise<void> {
    const opened = body.open(current)
    try {
      const command = new PutObjectCommand({ ...this.#named(name), Body: opened, ContentLength: body.sizeBytes })
      const { ETag } = await this.#options.client.send(command, { abortSignal: current.signal })
      if (ETag === undefined) throw new BrokenResponse('The response to PUT has no ETag')
    } finally {
      if ('destroy' in opened) opened.destroy()
    }
  }

  #page(prefix: string, token: string | undefined, signal: AbortSignal): Promise<ListObjectsV2CommandOutput> {
    const command = new ListObjectsV2Command({
      Bucket: this.#options.bucket,
      Prefix: prefix,
      ...(token === undefined ? {} : { ContinuationToken: token }),
    })
    return this.#retried(signal, async ({ signal: abortSignal }) => {
      const page = await this.#options.client.send(command, { abortSignal })
      const lost = page.IsTruncated === true && page.NextContinuationToken === undefined
      if (page.Name === undefined || lost) throw new BrokenResponse('The response is no list')
      return page
    })
  }

  async #exists(name: string, abortSignal: AbortSignal): Promise<boolean> {
    try {
      await this.#options.client.send(new HeadObjectCommand(this.#named(name)), { abortSignal })
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw error
    }
  }

  #retried<T>(signal: AbortSignal, attempt: (current: Try) => Promise<T>): Promise<T> {
    return withRetries(this.retry, signal, attempt)
  }

  #named(name: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#options.bucket, Key: name }
  }
}

interface RangeResponse {
  readonly range: string | undefined
  readonly lengthBytes: number | undefined
  readonly body: ResponseBody
}

/** The body is one of `createS3Handler`. It emits an error when it is destroyed early, also without a reader. */
function bodyOf({ Body }: GetObjectCommandOutput): ResponseBody {
  return (Body as unknown as ResponseBody).on('error', () => undefined)
}

function lengthOf(headers: ObjectResponse['headers']): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** The SDK corrects its clock by such a response, for all calls. */
const SKEWED = 'RequestTimeTooSkewed'

/** An error in the SDK's form: the code as its name, and the status. */
function failureOf(status: number, body: string): Error {
  const name = /<Code>(\w+)<\/Code>/.exec(body)?.[1] ?? 'Error'
  return Object.assign(new Error(`The service responded with ${status}`), {
    name,
    $metadata: { httpStatusCode: status },
  })
}

/** The status suffices: an overloaded service gets no second request for details. */
const isBusy = (status: number): boolean => status >= 500 || status === 429

function storedPart(sizeBytes: number | undefined, etag: string | undefined): StoredPart {
  if (sizeBytes === undefined || etag === undefined) throw new BrokenResponse('No size in HEAD')
  return { sizeBytes, etag }
}

/** A service without ranges sends the complete object; of a short object it sends less than was requested. */
function rangeProblem({ range, lengthBytes }: RangeResponse, { start, end }: BlobRange): Error | null {
  const match = /^bytes (\d+)-(\d+)\//.exec(range ?? '')
  if (!match || Number(match[1]) !== start) return new BrokenResponse('The response is not the requested range')
  if (Number(match[2]) + 1 < end) return tooShort()
  return lengthBytes === end - start ? null : new BrokenResponse('The response is not as long as its range')
}

function tooShort(): SealiftError {
  return new SealiftError('damaged', 'The stored bytes end too early: run `sealift fsck`')
}
