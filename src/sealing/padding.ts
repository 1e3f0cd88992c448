import { isZero } from './byte-tools.ts'
import { damaged } from './sealing-error.ts'
import type { Bytes } from './suite.ts'

/** No padded plaintext is shorter than this many bytes. */
export const MIN_PADDED_BYTES = 541

/*
 * Every size floor(1.05^k) that exact arithmetic can name, in order. Logarithms of doubles land on the wrong side of
 * a bucket border for some lengths; whole numbers cannot.
 */
const BUCKETS: readonly number[] = buckets()

/**
 * The length that a plaintext of `plainBytes` is padded to: the smallest floor(1.05^k) that holds it, and 541 at
 * least. At most 5 % longer; there are 440 such sizes up to 1 TiB.
 * Never below `plainBytes`, never falling as `plainBytes` grows.
 * @param plainBytes a whole number from 0 to 2^53 - 1
 */
export function paddedLength(plainBytes: number): number {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) throw new RangeError('A length must be a whole number')
  let low = 0
  let high = BUCKETS.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((BUCKETS[middle] ?? Infinity) < plainBytes) low = middle + 1
    else high = middle
  }
  return BUCKETS[low] ?? Number.MAX_SAFE_INTEGER
}

function buckets(): number[] {
  const sizes: number[] = []
  let numerator = 1n
  let denominator = 1n
  for (;;) {
    const size = Number(numerator / denominator)
    if (size > Number.MAX_SAFE_INTEGER) return sizes
    if (size >= MIN_PADDED_BYTES) sizes.push(size)
    numerator *= 21n
    denominator *= 20n
  }
}

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

/**
 * Removes the padding of a plaintext that arrives in pieces: keeps the first `plainBytes`, and refuses anything but
 * zeros behind them, so that a sealed media item has one content only.
 */
export class Trimmer {
  #missing: number

  /** @param plainBytes the true length; `undefined` keeps everything */
  constructor(plainBytes: number | undefined) {
    this.#missing = plainBytes ?? Infinity
  }

  /** The part of the piece that is content: a view of it, perhaps empty. */
  trim(piece: Bytes): Bytes {
    const content = piece.subarray(0, Math.min(piece.byteLength, this.#missing))
    this.#missing -= content.byteLength
    if (!isZero(piece.subarray(content.byteLength))) throw damaged()
    return content
  }

  /** Throws `damaged` when the plaintext ended before its true length. */
  end(): void {
    if (this.#missing !== Infinity && this.#missing > 0) throw damaged()
  }
}
