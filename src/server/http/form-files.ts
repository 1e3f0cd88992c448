import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { MIMEType } from 'node:util'

import busboy, { type Busboy } from 'busboy'

import { SealiftError } from '../../protocol/errors.ts'
import type { ReceivedBytes } from '../transfers/upload/received-bytes.ts'
import type { FormFile } from '../transfers/upload/store-form.ts'

export interface FormLimits {
  readonly maxFiles: number
  /** Content-Length of the form; `null`: unknown. */
  readonly totalBytes: number | null
}

const MAX_FIELDS = 8
const MAX_FIELD_BYTES = 4096
const MAX_FIELD_NAME_LENGTH = 100
const FILE_BUFFER_BYTES = 64 * 1024
/** More than is in flight between connection and store. */
const BUFFERED_BYTES = 512 * 1024

/**
 * The files of a `multipart/form-data` body as streams: nothing is written to disk, and memory holds one read of the
 * connection. File names are ignored. One file more than `maxFiles` is emitted, so that the caller can refuse it; the
 * parser skips the others.
 * @throws invalid_request for a body that is no form; what `source` throws
 */
export async function* formFiles(
  headers: IncomingHttpHeaders,
  source: ReceivedBytes,
  { maxFiles, totalBytes }: FormLimits,
): AsyncGenerator<FormFile> {
  const parser = openParser(headers, maxFiles)
  const files = new FileQueue()
  let fedBytes = 0
  const atMostBytes = () => (totalBytes === null ? null : Math.min(totalBytes, totalBytes - fedBytes + BUFFERED_BYTES))
  parser.on('file', (name, stream) => files.push(asFormFile(name, stream, atMostBytes)))
  parser.on('error', error => files.end(asMalformed(error)))
  parser.on('close', () => files.end(null))
  feed(parser, source, bytes => (fedBytes += bytes)).catch((error: unknown) => {
    files.end(error)
    parser.destroy()
  })
  try {
    for (let file = await files.next(); file; file = await files.next()) yield file
  } finally {
    parser.destroy()
  }
}

function openParser(headers: IncomingHttpHeaders, maxFiles: number): Busboy {
  const files = maxFiles + 1
  try {
    return busboy({
      headers: { 'content-type': quotedBoundary(headers['content-type']) },
      fileHwm: FILE_BUFFER_BYTES,
      // Names of fields travel as UTF-8 (RFC 7578, section 5.1); the parser's own default is Latin-1.
      defParamCharset: 'utf8',
      limits: { files, fields: MAX_FIELDS, fieldSize: MAX_FIELD_BYTES, parts: files + MAX_FIELDS },
    })
  } catch (error) {
    throw asMalformed(error)
  }
}

/**
 * busboy takes an unquoted boundary only when it is an RFC 9110 token. Many clients send the other characters that
 * RFC 2046 allows (`/ = : , ?`, parentheses, blanks) without quotes. `MIMEType` reads them as browsers do.
 * @throws TypeError when the header is no media type
 */
function quotedBoundary(contentType = ''): string {
  const { essence, params } = new MIMEType(contentType)
  const boundary = params.get('boundary')
  const type = new MIMEType(essence)
  if (boundary !== null) type.params.set('boundary', boundary)
  return String(type)
}

function asMalformed(cause: unknown): SealiftError {
  return new SealiftError('invalid_request', 'The body is not a well-formed multipart form', { cause })
}

async function feed(parser: Busboy, source: ReceivedBytes, count: (bytes: number) => void): Promise<void> {
  for await (const chunk of source) {
    count(chunk.length)
    if (!parser.write(chunk)) await once(parser, 'drain')
  }
  parser.end()
}

/** busboy passes `undefined` for a part without a name, against its types. */
function asFormFile(name: string | undefined, stream: Readable, atMostBytes: () => number | null): FormFile {
  stream.on('error', () => undefined)
  return {
    field: (name ?? '').slice(0, MAX_FIELD_NAME_LENGTH).toWellFormed(),
    source: stream.iterator({ destroyOnReturn: false }),
    skip() {
      stream.removeAllListeners('readable')
      stream.resume()
    },
    atMostBytes,
  }
}

/** Files in the order of arrival; the parser reads a file to its end before it emits the next. */
class FileQueue {
  readonly #files: FormFile[] = []
  #ended = false
  #error: unknown = null
  #wake: () => void = () => undefined

  push(file: FormFile): void {
    this.#files.push(file)
    this.#wake()
  }

  /** Only the first call counts. */
  end(error: unknown): void {
    if (!this.#ended) this.#error = error
    this.#ended = true
    this.#wake()
  }

  async next(): Promise<FormFile | null> {
    while (this.#files.length === 0 && !this.#ended) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const file = this.#files.shift()
    if (file) return file
    if (this.#error !== null) throw this.#error as Error
    return null
  }
}
