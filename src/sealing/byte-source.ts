import type { Awaitable } from './suite.ts'

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
