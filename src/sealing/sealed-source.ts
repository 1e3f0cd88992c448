import { HEADER_BYTES } from './constants.ts'
import { plainLength, sealedChunkCount, sealedRangeOfChunk } from './layout.ts'
import { createOpener } from './opener.ts'
import type { Opener, OpeningKey } from './opener.ts'
import { damaged } from './sealing-error.ts'
import type { Awaitable } from './suite.ts'

/** Where sealed bytes come from. */
export interface SealedSource {
  readonly read: ReadSealed
  readonly signal?: AbortSignal | undefined
}

/**
 * An opener for a media item that is read by ranges: fetches only its header.
 * @throws {SealingError} as `createOpener`
 */
export async function readOpener(options: OpeningKey & SealedSource): Promise<Opener> {
  const signal = options.signal ?? new AbortController().signal
  const header = await collect(await options.read(0, HEADER_BYTES, signal), HEADER_BYTES, signal)
  return createOpener({ ...options, header })
}

/**
 * The plaintext length of a media item whose sealed length is only claimed, by a server or a file system: the last
 * chunk is fetched and must authenticate as the last one at its position. Padding counts as plaintext.
 * @throws {SealingError} `damaged` when the media does not end there
 */
export async function provePlainLength(
  options: SealedSource & { readonly opener: Opener; readonly sealedBytes: number },
): Promise<number> {
  const { opener, sealedBytes } = options
  const { chunkBytes } = opener
  const signal = options.signal ?? new AbortController().signal
  const lastChunk = sealedChunkCount(sealedBytes, chunkBytes) - 1
  const { start, end } = sealedRangeOfChunk(lastChunk, sealedBytes, chunkBytes)
  const sealed = await collect(await options.read(start, end, signal), end - start, signal)
  if (sealed.byteLength !== end - start) throw damaged()
  await opener.openChunk(lastChunk, sealed, true)
  return plainLength(sealedBytes, chunkBytes)
}

/** Bytes in any of the shapes a reader gets them: whole, as a web stream, or as slices to iterate over. */
export type ByteSource = Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Fetches the sealed bytes from `start` up to but not including `end`: all of them, fewer only where the media ends.
 * Stops when `signal` is aborted.
 */
export type ReadSealed = (start: number, end: number, signal: AbortSignal) => Awaitable<ByteSource>

/** The slices of a source. Cancels a stream when the caller stops early or `signal` is aborted. */
export async function* slicesOf(source: ByteSource, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (source instanceof Uint8Array) yield source
  else if (source instanceof ReadableStream) yield* slicesOfStream(source, signal)
  else yield* source
  signal.throwIfAborted()
}

async function* slicesOfStream(
  stream: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const reader = stream.getReader()
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => {})
  signal.addEventListener('abort', cancel, { once: true })
  try {
    signal.throwIfAborted()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

/** Everything a source gives, of which at most `limitBytes` are expected: nothing when there is more. */
export async function collect(source: ByteSource, limitBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const whole = new Uint8Array(limitBytes)
  let length = 0
  for await (const slice of slicesOf(source, signal)) {
    if (length + slice.byteLength > limitBytes) return whole.subarray(0, 0)
    whole.set(slice, length)
    length += slice.byteLength
  }
  return whole.subarray(0, length)
}
