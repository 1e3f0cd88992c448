import type { Bytes, CryptoSuite } from '../../sealing/index.ts'

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
  /** MD5 of one part: what stores compare bytes with. It protects nobody against intent; that is what sealing is for. */
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
