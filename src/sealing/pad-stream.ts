import { paddedLength } from './padding.ts'
import type { Bytes } from './suite.ts'

const ZEROS_BYTES = 64 * 1024

/** A stream to pipe through, and what went through it. */
export interface PadStream extends ReadableWritablePair<Uint8Array, Uint8Array> {
  /** Bytes written so far; the true length once the writable side is closed. */
  readonly plainBytes: number
}

/**
 * Passes everything through and appends zeros up to `paddedLength` of what came: for plaintext whose length is known
 * only at its end. The zeros are made as they are read.
 */
export function padStream(): PadStream {
  let plainBytes = 0
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(slice, controller) {
      plainBytes += slice.byteLength
      controller.enqueue(slice)
    },
  })
  return {
    get plainBytes() {
      return plainBytes
    },
    writable: counter.writable,
    readable: followedBy(counter.readable.getReader(), () => paddedLength(plainBytes) - plainBytes),
  }
}

function followedBy(source: ReadableStreamDefaultReader<Uint8Array>, zeroCount: () => number) {
  let missing: number | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (missing === undefined) {
          const { done, value } = await source.read()
          if (!done) return controller.enqueue(value)
          missing = zeroCount()
        }
        if (missing === 0) return controller.close()
        const zeros: Bytes = new Uint8Array(Math.min(missing, ZEROS_BYTES))
        missing -= zeros.byteLength
        controller.enqueue(zeros)
      },
      cancel: reason => source.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
