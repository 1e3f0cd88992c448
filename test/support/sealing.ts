/** Helpers for anything that seals or opens in a test. They run in Node and in a browser page. */
import { isSealingError } from '../../src/sealing/index.ts'
import type { Bytes, CryptoSuite } from '../../src/sealing/index.ts'

/** The plaintext of every vector: byte i is (7 i + 13 floor(i / 256)) mod 256. */
export function patternBytes(length: number): Bytes {
  const bytes = new Uint8Array(length)
  for (let index = 0; index < length; index++) bytes[index] = 7 * index + 13 * Math.floor(index / 256)
  return bytes
}

export function fromHex(text: string): Bytes {
  return Uint8Array.from(text.match(/../g) ?? [], pair => Number.parseInt(pair, 16))
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

export function fromBase64(text: string): Bytes {
  return Uint8Array.from(atob(text), character => character.charCodeAt(0))
}

export function sha256Hex(suite: CryptoSuite, bytes: Uint8Array): string {
  return toHex(suite.sha256().update(bytes).digest())
}

export function joined(pieces: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0))
  let offset = 0
  for (const piece of pieces) {
    whole.set(piece, offset)
    offset += piece.byteLength
  }
  return whole
}

/** The bytes as a stream, in slices of the given lengths, over and over. */
export function streamOf(bytes: Uint8Array, sliceLengths: readonly number[] = [65_536]): ReadableStream<Uint8Array> {
  let offset = 0
  let turn = 0
  return new ReadableStream(
    {
      pull(controller) {
        if (offset >= bytes.byteLength) return controller.close()
        const length = Math.max(0, sliceLengths[turn++ % sliceLengths.length] ?? 0)
        controller.enqueue(bytes.slice(offset, offset + length))
        offset += length
      },
    },
    { highWaterMark: 0 },
  )
}

/** What came out before the end or the error, and the error. */
export interface Outcome {
  readonly bytes: Bytes
  readonly error: unknown
}

/** Reads to the end or to the error, whichever comes; never throws. */
export async function outcomeOf(
  source: () => ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<Outcome> {
  const pieces: Uint8Array[] = []
  try {
    const opened = source()
    if (opened instanceof ReadableStream) {
      const reader = opened.getReader()
      for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value)
    } else {
      for await (const piece of opened) pieces.push(piece)
    }
    return { bytes: joined(pieces), error: undefined }
  } catch (error) {
    return { bytes: joined(pieces), error }
  }
}

/** The bytes of a stream; throws its error. */
export async function allOf(source: ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Bytes> {
  const { bytes, error } = await outcomeOf(() => source)
  if (error !== undefined) throw error
  return bytes
}

/** Whether both hold the same bytes: quick even for megabytes, unlike a deep comparison. */
export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.byteLength !== b.byteLength) return false
  for (let index = 0; index < a.byteLength; index++) if (a[index] !== b[index]) return false
  return true
}

export const isDamaged = (error: unknown): boolean => isSealingError(error, 'damaged')
