import { NONCE_PREFIX_BYTES, SALT_BYTES } from './constants.ts'
import type { Role } from './constants.ts'
import { assertKeyAndRole, chunkNonce, deriveAead, deriveCommit, encodeHeader } from './keys.ts'
import { assertChunkBytes, assertChunkIndex, plainCapacity } from './layout.ts'
import { invalidArgument, SealingError } from './sealing-error.ts'
import type { Aead, Awaitable, Bytes, CryptoSuite } from './suite.ts'

/** What a sealer is made from. */
export interface SealerOptions {
  readonly suite: CryptoSuite
  /** 32 random bytes that seal this one plaintext and nothing else. Copied by the suite; the caller keeps its own. */
  readonly key: Uint8Array
  readonly role: Role
  /** Sealed bytes per chunk, 1 KiB to 4 MiB. */
  readonly chunkBytes: number
  /** 32 bytes; random when absent. Given only to take up a sealing again, with the same plaintext, or for vectors. */
  readonly salt?: Uint8Array | undefined
  /** 7 bytes; random when absent. Goes with `salt`: both or neither. */
  readonly noncePrefix?: Uint8Array | undefined
}

/** Seals the chunks of one plaintext, in any order and in parallel. */
export interface Sealer {
  /** The 40 bytes that come before chunk 0. */
  readonly header: Bytes
  /** The 32-byte key commitment, for the manifest. */
  readonly commit: Bytes
  readonly chunkBytes: number
  readonly suite: CryptoSuite
  /** Plaintext bytes that chunk `index` must have unless it is the last. */
  plainCapacity(index: number): number
  /**
   * Chunk `index` sealed: ciphertext and tag, without the header. Sealing the same bytes again has the same result.
   * @param plain exactly `plainCapacity(index)` bytes; the last chunk 1 to that many, or none when it is also the first
   * @throws {SealingError} `source_changed` when other bytes were sealed under this index: nothing of the new ones
   *   leaves, and the key is spent; `invalid_argument` for a wrong length
   */
  sealChunk(index: number, plain: Uint8Array, last: boolean): Awaitable<Bytes>
}

/**
 * A sealer for one plaintext under one key.
 * @throws {SealingError} `invalid_argument` for a key, role, salt, prefix or chunk size of the wrong shape
 */
export async function createSealer(options: SealerOptions): Promise<Sealer> {
  const { suite, key, role, chunkBytes } = options
  assertKeyAndRole(key, role)
  assertChunkBytes(chunkBytes)
  if ((options.salt === undefined) !== (options.noncePrefix === undefined)) {
    throw invalidArgument('Salt and nonce prefix are given together or not at all')
  }
  const salt = options.salt ?? suite.randomBytes(SALT_BYTES)
  const noncePrefix = (options.noncePrefix ?? suite.randomBytes(NONCE_PREFIX_BYTES)).slice()
  const header = encodeHeader({ salt, noncePrefix })
  const [aead, commit] = await Promise.all([deriveAead(suite, key, salt, role), deriveCommit(suite, key, salt)])
  const sealChunk = chunkSealer({ aead, noncePrefix, chunkBytes })
  return { header, commit, chunkBytes, suite, plainCapacity: index => plainCapacity(index, chunkBytes), sealChunk }
}

interface ChunkSealerOptions {
  readonly aead: Aead
  readonly noncePrefix: Uint8Array
  readonly chunkBytes: number
}

function chunkSealer({ aead, noncePrefix, chunkBytes }: ChunkSealerOptions): Sealer['sealChunk'] {
  const guard = new NonceGuard()
  return (index, plain, last) => {
    assertChunkIndex(index)
    assertFits(plain.byteLength, { capacity: plainCapacity(index, chunkBytes), last, mayBeEmpty: index === 0 })
    guard.claim(index, last)
    const guarded = (sealed: Bytes): Bytes => {
      guard.remember(index, sealed)
      return sealed
    }
    const sealed = aead.seal(chunkNonce(noncePrefix, index, last), plain)
    return sealed instanceof Promise ? sealed.then(guarded) : guarded(sealed)
  }
}

function assertFits(bytes: number, chunk: { capacity: number; last: boolean; mayBeEmpty: boolean }): void {
  if (bytes === chunk.capacity) return
  const short = bytes < chunk.capacity && (bytes > 0 || chunk.mayBeEmpty)
  if (!chunk.last || !short) throw invalidArgument('A chunk must be full, and only the last one may be shorter')
}

const KEPT_BYTES = 8
const CHUNKS_PER_PAGE = 1024

/**
 * Remembers the tag of every chunk a sealer has sealed, so that one nonce never serves two plaintexts: that would
 * give both away. Sealing the same bytes again (a retry) gives the same tag and passes.
 *
 * Keeps 8 bytes of each tag, in pages: 32 KiB of memory per GiB sealed in chunks of the default size.
 */
export class NonceGuard {
  readonly #pages = new Map<number, BigUint64Array>()
  readonly #seen = new Map<number, Uint8Array>()
  #highest = -1
  #final: number | undefined

  /** Notes where the plaintext ends and how far it goes. Throws `source_changed` when that contradicts itself. */
  claim(index: number, last: boolean): void {
    const end = this.#final
    const fitsLast = end === undefined ? index > this.#highest : index === end
    if (last ? !fitsLast : index >= (end ?? Infinity)) throw sourceChanged()
    this.#highest = Math.max(this.#highest, index)
    if (last) this.#final = index
  }

  /** Remembers the tag that ends `sealed`. Throws `source_changed` when this index had another one before. */
  remember(index: number, sealed: Uint8Array): void {
    const tag = new DataView(sealed.buffer, sealed.byteOffset + sealed.byteLength - KEPT_BYTES).getBigUint64(0)
    const number = Math.floor(index / CHUNKS_PER_PAGE)
    const slot = index % CHUNKS_PER_PAGE
    const { tags, seen } = this.#page(number)
    if (seen[slot] === 1 && tags[slot] !== tag) throw sourceChanged()
    tags[slot] = tag
    seen[slot] = 1
  }

  #page(number: number): { tags: BigUint64Array; seen: Uint8Array } {
    const tags = this.#pages.get(number) ?? new BigUint64Array(CHUNKS_PER_PAGE)
    const seen = this.#seen.get(number) ?? new Uint8Array(CHUNKS_PER_PAGE)
    this.#pages.set(number, tags)
    this.#seen.set(number, seen)
    return { tags, seen }
  }
}

function sourceChanged(): SealingError {
  return new SealingError(
    'source_changed',
    'Other bytes were sealed at this place before: the source has changed. Start over with a new key',
  )
}
