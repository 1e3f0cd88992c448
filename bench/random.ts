/** Repeatable randomness: the same seed gives the same bytes and sizes on every machine. */
import { createCipheriv } from 'node:crypto'

/** `sizeBytes` incompressible bytes (an AES-CTR key stream). */
export function randomFill(sizeBytes: number, seed: number): Buffer<ArrayBuffer> {
  const key = Buffer.alloc(32)
  key.writeUInt32LE(seed, 0)
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes))
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
