import type { Bytes, CryptoSuite } from '../sealing/index.ts'

/** SHA-256 over parts that are handed in one after the other. */
export interface PartHash {
  /** Takes in the next part. Resolves when its memory may be used again. */
  update(part: Bytes): Promise<void>
  /** The digest of everything taken in. Ends the hash. */
  digest(): Promise<Bytes>
}

/** Who hashes the parts of large media, and in what memory those must lie. */
export interface PartHashing {
  /** Memory for a part. */
  allocate(bytes: number): Bytes
  start(): Promise<PartHash>
}

/** Hashes on the caller's thread: works everywhere. */
export function hashingHere(suite: CryptoSuite): PartHashing {
  return {
    allocate: bytes => new Uint8Array(bytes),
    start: () => Promise.resolve(hashHere(suite)),
  }
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
