import { SealiftError } from '../../protocol/errors.ts'
import { paddedLength } from '../../sealing/index.ts'
import { throwIfAborted } from '../concurrency/abort.ts'
import { release } from '../bytes/buffers.ts'
import type { RandomSource, Source } from '../api/source-and-sink.ts'

/** What was put into a buffer. */
export interface PlainPart {
  /** Bytes filled, padding included; fewer than there was room for only when they are the last. */
  readonly bytes: number
  /** How many of them are no padding. */
  readonly dataBytes: number
  readonly last: boolean
}

/** The plaintext of one item, read once and in order. */
export interface PlainParts {
  /** True length, `null` while it is not known. */
  readonly dataBytes: number | null
  /** With padding; `null` while it is not known. */
  readonly paddedBytes: number | null
  /** Fills `target` with the next bytes. */
  next(target: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<PlainPart>
  /** Whether at most `plainBytes` are left, padding included. May read ahead that far. */
  endsWithin(plainBytes: number, signal: AbortSignal): Promise<boolean>
  /** After the last part. @throws file_changed when the source is not what it was at the beginning */
  checkUnchanged(): Promise<void>
  /** Gives up the source. */
  cancel(reason: unknown): Promise<void>
}

export function plainParts(source: Source, padding: boolean): PlainParts {
  return source instanceof ReadableStream
    ? new StreamedParts(source, padding, () => undefined)
    : new KnownParts(randomSource(source), padFor(padding))
}

/** @param stream the memory of its chunks is freed when they have been copied */
export function madeParts(stream: ReadableStream<Uint8Array<ArrayBuffer>>, padding: boolean): PlainParts {
  return new StreamedParts(stream, padding, release)
}

function padFor(padding: boolean): (bytes: number) => number {
  return padding ? paddedLength : bytes => bytes
}

/** Length of a source, `null` for a stream. */
export function sourceBytes(source: Source): number | null {
  return source instanceof ReadableStream ? null : randomSource(source).sizeBytes
}

function randomSource(source: Exclude<Source, ReadableStream>): RandomSource {
  if (source instanceof Uint8Array) return bytesSource(source)
  return source instanceof Blob ? blobSource(source) : source
}

function bytesSource(bytes: Uint8Array<ArrayBuffer>): RandomSource {
  return {
    sizeBytes: bytes.byteLength,
    read: (start, end) => Promise.resolve(bytes.subarray(start, end)),
  }
}

function blobSource(blob: Blob): RandomSource {
  return {
    sizeBytes: blob.size,
    read: async (start, end) => {
      try {
        return new Uint8Array(await blob.slice(start, end).arrayBuffer())
      } catch (error) {
        // Browsers refuse to read a File whose file has changed since it was chosen.
        throw new SealiftError('file_changed', 'The file changed, or can no longer be read', { cause: error })
      }
    },
  }
}

class KnownParts implements PlainParts {
  readonly dataBytes: number
  readonly paddedBytes: number
  readonly #source: RandomSource
  #at = 0

  constructor(source: RandomSource, pad: (bytes: number) => number) {
    this.#source = source
    this.dataBytes = source.sizeBytes
    this.paddedBytes = pad(source.sizeBytes)
  }

  async next(target: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<PlainPart> {
    throwIfAborted(signal)
    const start = this.#at
    const end = Math.min(start + target.byteLength, this.paddedBytes)
    this.#at = end
    const dataBytes = Math.max(0, Math.min(end, this.dataBytes) - start)
    await this.#read(target.subarray(0, dataBytes), start, signal)
    target.fill(0, dataBytes, end - start)
    return { bytes: end - start, dataBytes, last: end === this.paddedBytes }
  }

  endsWithin(plainBytes: number): Promise<boolean> {
    return Promise.resolve(this.paddedBytes - this.#at <= plainBytes)
  }

  async checkUnchanged(): Promise<void> {
    await this.#source.checkUnchanged?.()
  }

  cancel(): Promise<void> {
    return Promise.resolve()
  }

  async #read(target: Uint8Array<ArrayBuffer>, start: number, signal: AbortSignal): Promise<void> {
    if (target.byteLength === 0) return
    if (this.#source.readInto) return this.#source.readInto(target, start, signal)
    const data = await this.#source.read(start, start + target.byteLength, signal)
    if (data.byteLength !== target.byteLength) throw new SealiftError('file_changed', 'The source became shorter')
    target.set(data)
  }
}

class StreamedParts implements PlainParts {
  dataBytes: number | null = null
  paddedBytes: number | null = null
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>
  readonly #pad: (bytes: number) => number
  readonly #letGo: (piece: Uint8Array) => void
  #held: Uint8Array[] = []
  /** Bytes of the first that is held which were taken already. */
  #takenOfFirst = 0
  #heldBytes = 0
  #taken = 0
  #read = 0

  /** @param letGo is given each piece of the stream that has been copied */
  constructor(stream: ReadableStream<Uint8Array>, padding: boolean, letGo: (piece: Uint8Array) => void) {
    this.#reader = stream.getReader()
    this.#pad = padFor(padding)
    this.#letGo = letGo
  }

  async next(target: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<PlainPart> {
    const last = await this.endsWithin(target.byteLength, signal)
    const bytes = last ? (this.paddedBytes ?? 0) - this.#taken : target.byteLength
    const dataBytes = this.#takeInto(target.subarray(0, bytes))
    target.fill(0, dataBytes, bytes)
    this.#taken += bytes
    return { bytes, dataBytes, last }
  }

  async endsWithin(plainBytes: number, signal: AbortSignal): Promise<boolean> {
    while (this.dataBytes === null && this.#heldBytes <= plainBytes) await this.#pull(signal)
    return this.paddedBytes !== null && this.paddedBytes - this.#taken <= plainBytes
  }

  checkUnchanged(): Promise<void> {
    return Promise.resolve()
  }

  async cancel(reason: unknown): Promise<void> {
    this.#held = []
    await this.#reader.cancel(reason).catch(() => undefined)
  }

  async #pull(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    const onAbort = (): void => void this.#reader.cancel(signal.reason).catch(() => undefined)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      const { done, value } = await this.#reader.read()
      throwIfAborted(signal)
      if (done) this.#end()
      else this.#hold(value)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #end(): void {
    this.dataBytes = this.#read
    this.paddedBytes = this.#pad(this.#read)
  }

  #hold(piece: Uint8Array): void {
    this.#held.push(piece)
    this.#heldBytes += piece.byteLength
    this.#read += piece.byteLength
  }

  /** Fills `target` from what is held; returns how many bytes there were. */
  #takeInto(target: Uint8Array): number {
    let at = 0
    for (let piece = this.#held[0]; piece && at < target.byteLength; piece = this.#held[0]) {
      const taken = piece.subarray(this.#takenOfFirst, this.#takenOfFirst + target.byteLength - at)
      target.set(taken, at)
      at += taken.byteLength
      this.#takenOfFirst += taken.byteLength
      if (this.#takenOfFirst < piece.byteLength) break
      this.#held.shift()
      this.#takenOfFirst = 0
      this.#letGo(piece)
    }
    this.#heldBytes -= at
    return at
  }
}
