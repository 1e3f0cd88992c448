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
import type { ByteRange, StoredPart } from '../blob-store.ts'
import type { ResponseBody, ReceiveMemory } from './receive-memory.ts'
import { type ObjectResponse, ObjectRequests } from './object-requests.ts'
import { type RetryPolicy, type Try, tryOnce, withRetries } from './retry.ts'
import { BrokenResponse, isAbsent, isPastEnd, translateS3Error } from './s3-errors.ts'

export interface S3ServiceOptions {
  /** For bytes on their way out; a slow reader holds one of its connections. */
  readonly reader: S3Client
  /** For everything else. */
  readonly client: S3Client
  /** What `reader` receives in. */
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

/** The bytes of a body, made anew for each try. */
export interface ObjectBody {
  readonly sizeBytes: number
  open(current: Try): Uint8Array | Readable
}

/** The five calls of S3 that the store is made of: each with a deadline, tried again where that is safe, its answer checked. */
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

  /** Stores an object, replacing one of that name. Repeating it with the same bytes changes nothing. @throws storage_full, unavailable */
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
   * Asks for a range once; whoever takes the body reads it to its end or destroys it. The whole range is there, or this
   * throws. @throws damaged; the SDK's errors
   */
  async get(name: string, range: ByteRange, current: Try): Promise<ResponseBody> {
    try {
      const answer = await this.#askRange(name, range, current.signal)
      const problem = rangeProblem(answer, range)
      if (problem === null && !current.signal.aborted) return answer.body
      answer.body.destroy()
      throw problem ?? current.signal.reason
    } catch (error) {
      if (isAbsent(error)) throw new SealiftError('damaged', 'Stored bytes are missing: run `sealift fsck`')
      if (isPastEnd(error)) throw tooShort()
      throw error
    }
  }

  /** A small object, all of it. @throws damaged, unavailable */
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
      // Not every 200 is one: some carry an error in their body.
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

  async #askRange(name: string, { start, end }: ByteRange, abortSignal: AbortSignal): Promise<RangeAnswer> {
    const range = `bytes=${start}-${end - 1}`
    const { status, headers, body } = await this.#reading.send({ method: 'GET', name, range }, abortSignal)
    if (status === 206) return { range: headers['content-range'], lengthBytes: lengthOf(headers), body }
    const failure = failureOf(status, await text(addAbortSignal(abortSignal, body)))
    if (failure.name !== SKEWED) throw failure
    const command = new GetObjectCommand({ ...this.#named(name), Range: range })
    const output = await this.#options.reader.send(command, { abortSignal })
    return { range: output.ContentRange, lengthBytes: output.ContentLength, body: bodyOf(output) }
  }

  /** For what a HEAD without its steps does not understand. */
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
      if (ETag === undefined) throw new BrokenResponse('The answer to PUT names no object')
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
      if (page.Name === undefined || lost) throw new BrokenResponse('The answer is no list')
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

interface RangeAnswer {
  readonly range: string | undefined
  readonly lengthBytes: number | undefined
  readonly body: ResponseBody
}

/** What `createS3Handler` makes. A body that is destroyed before its end says so by an error, also when nobody reads it. */
function bodyOf({ Body }: GetObjectCommandOutput): ResponseBody {
  return (Body as unknown as ResponseBody).on('error', () => undefined)
}

function lengthOf(headers: ObjectResponse['headers']): number | undefined {
  const length = headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** The SDK corrects its clock by such an answer, for all calls. */
const SKEWED = 'RequestTimeTooSkewed'

/** As the SDK tells it: by the name of the code, and the status. */
function failureOf(status: number, answer: string): Error {
  const name = /<Code>(\w+)<\/Code>/.exec(answer)?.[1] ?? 'Error'
  return Object.assign(new Error(`The service answered ${status}`), { name, $metadata: { httpStatusCode: status } })
}

/** A service in trouble is not asked a second time what its trouble is. */
const isBusy = (status: number): boolean => status >= 500 || status === 429

function storedPart(sizeBytes: number | undefined, etag: string | undefined): StoredPart {
  if (sizeBytes === undefined || etag === undefined) throw new BrokenResponse('No size in HEAD')
  return { sizeBytes, etag }
}

/** A service that knows no ranges answers with the whole object; a short object with less than was asked. */
function rangeProblem({ range, lengthBytes }: RangeAnswer, { start, end }: ByteRange): Error | null {
  const match = /^bytes (\d+)-(\d+)\//.exec(range ?? '')
  if (!match || Number(match[1]) !== start) return new BrokenResponse('The answer is not the range that was asked for')
  if (Number(match[2]) + 1 < end) return tooShort()
  return lengthBytes === end - start ? null : new BrokenResponse('The answer is not as long as its range')
}

function tooShort(): SealiftError {
  return new SealiftError('damaged', 'The stored bytes end too early: run `sealift fsck`')
}
