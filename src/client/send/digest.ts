import { TAG_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'

/**
 * SHA-256 of bytes that are in memory as a whole. A suite that works at once is asked itself; elsewhere WebCrypto does
 * it, beside the main thread. (In Node, WebCrypto copies the bytes first, which takes half as long as hashing them.)
 */
export async function sha256(suite: CryptoSuite, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (suite.parallel === 1) return suite.sha256().update(bytes).digest()
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

/**
 * Tells one sealed part from every other that was sealed in its place: the hash of the tags of its chunks, which vouch
 * for their bytes. A thousandth of the work of hashing the part.
 */
export function partFingerprint(
  suite: CryptoSuite,
  sealed: Uint8Array<ArrayBuffer>,
  chunkBytes: number,
): Uint8Array<ArrayBuffer> {
  const hash = suite.sha256()
  for (let end = chunkBytes; end < sealed.byteLength + chunkBytes; end += chunkBytes) {
    const chunkEnd = Math.min(end, sealed.byteLength)
    hash.update(sealed.subarray(chunkEnd - TAG_BYTES, chunkEnd))
  }
  return hash.digest()
}
