import { TAG_BYTES } from '../../sealing/index.ts'
import type { Bytes, CryptoSuite } from '../../sealing/index.ts'

/** SHA-256 over parts that are handed in one after the other. */
export interface PartHash {
  /** Takes in the next part. Resolves when its memory may be used again. */
  update(part: Bytes): Promise<void>
  /** The digest of everything taken in. Ends the hash. */
  digest(): Promise<Bytes>
}

/** Hashes the parts of large media items, and allocates the memory that they must lie in. */
export interface PartHashing {
  /** Memory for a part. */
  allocate(bytes: number): Bytes
  start(): Promise<PartHash>
  /** MD5 of one part, by which stores detect accidental damage; sealing detects intentional changes. */
  md5(part: Bytes): Promise<Uint8Array>
}

/** Hashes on the caller's thread: works everywhere. */
export function hashingHere(suite: CryptoSuite, md5: PartHashing['md5'] = md5Here): PartHashing {
  return {
    allocate: bytes => new Uint8Array(bytes),
    start: () => Promise.resolve(hashHere(suite)),
    md5,
  }
}

/** WebCrypto has no MD5. Loaded when the first part goes straight to a store. */
async function md5Here(part: Bytes): Promise<Uint8Array> {
  const { md5 } = await import('@noble/hashes/legacy.js')
  return md5(part)
}

function hashHere(suite: CryptoSuite): PartHash {
  const hash = suite.sha256()
  return {
    update(part) {
      hash.update(part)
      return Promise.resolve()
    },
    digest: () => Promise.resolve(hash.digest()),
  }
}

/**
 * SHA-256 of bytes in memory, by a synchronous suite itself, else by WebCrypto, off the main thread. (In Node,
 * WebCrypto copies the bytes first, which takes half as long as hashing them.)
 */
export async function sha256(suite: CryptoSuite, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  if (suite.parallel === 1) return suite.sha256().update(bytes).digest()
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

/**
 * Identifies the bytes of a sealed part by the hash of the tags of its chunks: a thousandth of the work of hashing the
 * part.
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
