/** A value now or later: one suite works at once, the other asynchronously. */
export type Awaitable<T> = T | Promise<T>

/** Bytes this layer hands out: never shared memory, and owned by the caller. */
export type Bytes = Uint8Array<ArrayBuffer>

/** AES-256-GCM under one key. Both calls read their arguments before they return and keep no view of them. */
export interface Aead {
  /** Ciphertext followed by the 16-byte tag. The 12-byte `nonce` must be new under this key. */
  seal(nonce: Uint8Array, plain: Uint8Array): Awaitable<Bytes>
  /** The plaintext; throws (anything) when the tag does not match, and lets nothing of it out. */
  open(nonce: Uint8Array, sealed: Uint8Array): Awaitable<Bytes>
}

/** SHA-256 over bytes that arrive piece by piece. */
export interface IncrementalHash {
  /** Takes in the next bytes; keeps no view of them. Returns itself. */
  update(bytes: Uint8Array): IncrementalHash
  /** The 32-byte digest. Ends the hash: it takes no more updates. */
  digest(): Bytes
}

/** The cryptography this layer stands on. Two exist: `webSuite` (WebCrypto) and `nodeSuite` (node:crypto). */
export interface CryptoSuite {
  /** How many chunks are worth having in flight at once; 1 for a suite that works synchronously. */
  readonly parallel: number
  /** HKDF-SHA256 (RFC 5869), extract and expand. */
  hkdfSha256(key: Uint8Array, salt: Uint8Array, info: Uint8Array, lengthBytes: number): Promise<Bytes>
  /** AES-GCM under a 32-byte key. */
  aesGcm(key: Uint8Array): Promise<Aead>
  sha256(): IncrementalHash
  /** `byteCount` bytes of a cryptographic random source. */
  randomBytes(byteCount: number): Bytes
}
