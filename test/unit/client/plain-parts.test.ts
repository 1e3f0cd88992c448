import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { plainParts } from '../../../src/client/send/plain-parts.ts'
import type { Source } from '../../../src/client/api/source-and-sink.ts'
import { paddedLength } from '../../../src/sealing/index.ts'

const SIGNAL = new AbortController().signal

function patterned(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, at) => (at % 255) + 1)
}

function streamed(bytes: Uint8Array<ArrayBuffer>, pieceBytes: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close()
      controller.enqueue(bytes.subarray(at, at + pieceBytes))
      at += pieceBytes
    },
  })
}

async function readAll(source: Source, padding: boolean, partBytes: number) {
  const parts = plainParts(source, padding)
  const pieces: Uint8Array[] = []
  let data = 0
  for (let last = false; !last;) {
    const target = new Uint8Array(partBytes).fill(255)
    const part = await parts.next(target, SIGNAL)
    pieces.push(target.subarray(0, part.bytes))
    data += part.dataBytes
    last = part.last
    expect(last || part.bytes === partBytes).toBe(true)
  }
  return { all: Buffer.concat(pieces), data, parts }
}

describe('the parts of a source', () => {
  const anySize = fc.integer({ min: 0, max: 5000 })
  const partSize = fc.integer({ min: 1, max: 1500 })

  test('are its bytes and then zeros, whatever it is and however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(anySize, partSize, fc.boolean(), async (size, partBytes, padding) => {
        const bytes = patterned(size)
        const expected = Buffer.alloc(padding ? paddedLength(size) : size)
        expected.set(bytes)
        const sources: Source[] = [
          bytes,
          new Blob([bytes]),
          { sizeBytes: size, read: (start, end) => Promise.resolve(bytes.slice(start, end)) },
          streamed(bytes, 97),
          streamed(bytes, 4096),
        ]
        for (const source of sources) {
          const { all, data, parts } = await readAll(source, padding, partBytes)
          expect(all.equals(expected)).toBe(true)
          expect(data).toBe(size)
          expect(parts.dataBytes).toBe(size)
          expect(parts.paddedBytes).toBe(expected.byteLength)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('of a stream are not read further ahead than one part', async () => {
    let pulled = 0
    const endless = new ReadableStream<Uint8Array>(
      {
        pull: controller => {
          pulled += 100
          controller.enqueue(new Uint8Array(100))
        },
      },
      { highWaterMark: 0 },
    )
    const parts = plainParts(endless, true)
    await parts.next(new Uint8Array(1000), SIGNAL)
    await parts.next(new Uint8Array(1000), SIGNAL)
    expect(pulled).toBeLessThanOrEqual(2100)
    await parts.cancel(new Error('enough'))
  })

  test('of a stream that is blocked can be aborted', async () => {
    const stop = new AbortController()
    let cancelled = false
    const parts = plainParts(new ReadableStream({ cancel: () => void (cancelled = true) }), true)
    const next = parts.next(new Uint8Array(10), stop.signal)
    stop.abort()
    await expect(next).rejects.toMatchObject({ code: 'aborted' })
    expect(cancelled).toBe(true)
  })

  test('of a source that became shorter are refused', async () => {
    const parts = plainParts({ sizeBytes: 100, read: () => Promise.resolve(new Uint8Array(7)) }, true)
    await expect(parts.next(new Uint8Array(1000), SIGNAL)).rejects.toMatchObject({ code: 'file_changed' })
  })
})
