/**
 * One chunk that opens under two keys: AES-GCM does not commit to its key. The tag is linear in the ciphertext, so
 * one free block can be chosen such that both keys compute the same tag.
 */
import { createCipheriv } from 'node:crypto'
import { derivedKeyOf, headerOf, nonceOf } from './reference.ts'
import type { Media } from './reference.ts'

const BLOCK = 16
const REDUCTION = 0xe1n << 120n

/** Header and one chunk, `blocks` blocks long, that both media (same salt and prefix, other keys) open. */
export function openingUnderBoth(first: Media, second: Media, blocks: number): Buffer {
  const [a, b] = [gcmOf(first), gcmOf(second)]
  const cipherBlocks = Array.from({ length: blocks }, (_, index) => BigInt(index + 1) * 0x1111n)
  const free = blocks - 1
  cipherBlocks[free] = 0n
  // Block i of n is weighted with H^(n - i + 1) in the tag; the length block with H.
  const weight = power(a.hashKey, 2) ^ power(b.hashKey, 2)
  const gap = tagOf(a, cipherBlocks) ^ tagOf(b, cipherBlocks)
  cipherBlocks[free] = multiply(gap, invert(weight))
  const chunk = Buffer.concat([...cipherBlocks, tagOf(a, cipherBlocks)].map(toBytes))
  return Buffer.concat([headerOf(first), chunk])
}

interface Gcm {
  readonly hashKey: bigint
  readonly tagMask: bigint
}

function gcmOf(media: Media): Gcm {
  const encrypt = (block: Buffer): bigint => {
    const cipher = createCipheriv('aes-256-ecb', derivedKeyOf(media), null).setAutoPadding(false)
    return toNumber(Buffer.concat([cipher.update(block), cipher.final()]))
  }
  const counter = Buffer.concat([nonceOf(media, 0, true), Buffer.from([0, 0, 0, 1])])
  return { hashKey: encrypt(Buffer.alloc(BLOCK)), tagMask: encrypt(counter) }
}

/** GHASH over the ciphertext (there is no associated data in a chunk) and the length block, masked. */
function tagOf({ hashKey, tagMask }: Gcm, cipherBlocks: readonly bigint[]): bigint {
  const lengths = BigInt(cipherBlocks.length * BLOCK * 8)
  return [...cipherBlocks, lengths].reduce((sum, block) => multiply(sum ^ block, hashKey), 0n) ^ tagMask
}

/** Product in GF(2^128) in the bit order of GCM: the first bit of a block is its lowest power. */
function multiply(x: bigint, y: bigint): bigint {
  let product = 0n
  let shifted = y
  for (let bit = 127n; bit >= 0n; bit--) {
    if ((x >> bit) & 1n) product ^= shifted
    shifted = shifted & 1n ? (shifted >> 1n) ^ REDUCTION : shifted >> 1n
  }
  return product
}

function power(base: bigint, exponent: number): bigint {
  let result = base
  for (let step = 1; step < exponent; step++) result = multiply(result, base)
  return result
}

/** x^(2^128 - 2), which is 1 / x. */
function invert(x: bigint): bigint {
  let result = x
  for (let step = 0; step < 126; step++) result = multiply(multiply(result, result), x)
  return multiply(result, result)
}

function toNumber(block: Buffer): bigint {
  return BigInt(`0x${block.toString('hex')}`)
}

function toBytes(block: bigint): Buffer {
  return Buffer.from(block.toString(16).padStart(BLOCK * 2, '0'), 'hex')
}
