import { TAG_BYTES } from './constants.ts'
import type { Role } from './constants.ts'
import { damaged } from './sealing-error.ts'
import { assertKeyAndRole, checkCommit, chunkNonce, decodeHeader, deriveAead } from './keys.ts'
import { assertChunkBytes, assertChunkIndex, plainCapacity } from './layout.ts'
import type { Aead, Awaitable, Bytes, CryptoSuite } from './suite.ts'

/** What every opening needs, from the manifest or the link. */
export interface OpeningKey {
  readonly suite: CryptoSuite
  /** 32 bytes. */
  readonly key: Uint8Array
  readonly role: Role
  /** Sealed bytes per chunk, 1 KiB to 4 MiB, from the manifest. */
  readonly chunkBytes: number
  /** The 32-byte commitment from the manifest. Leave it out only where there is none: for the manifest itself. */
  readonly commit?: Uint8Array | undefined
}

/** What an opener is made from, besides the sealed bytes. */
export interface OpenerOptions extends OpeningKey {
  /** The first 40 bytes of the sealed media. */
  readonly header: Uint8Array
}

/** Opens the chunks of one sealed media, in any order and in parallel. */
export interface Opener {
  readonly chunkBytes: number
  readonly suite: CryptoSuite
  /**
   * The plaintext of chunk `index`, authenticated as standing at this place.
   * @param sealed the chunk's ciphertext and tag, without the header
   * @param last whether it must be the end of the media: a chunk opens one way only
   * @throws {SealingError} `damaged`, by a rejected promise or at once, as the suite works
   */
  openChunk(index: number, sealed: Uint8Array, last: boolean): Awaitable<Bytes>
}

/**
 * An opener, once header and commitment have been checked: before the first decryption.
 * @throws {SealingError} `damaged` for a forged header or another key than the committed one; `invalid_argument`
 */
export async function createOpener(options: OpenerOptions): Promise<Opener> {
  const { suite, key, role, chunkBytes, commit } = options
  assertKeyAndRole(key, role)
  assertChunkBytes(chunkBytes)
  const { salt, noncePrefix } = decodeHeader(options.header)
  if (commit !== undefined) await checkCommit(suite, key, salt, commit)
  const aead = await deriveAead(suite, key, salt, role)
  return { chunkBytes, suite, openChunk: chunkOpener({ aead, noncePrefix, chunkBytes }) }
}

interface ChunkOpenerOptions {
  readonly aead: Aead
  readonly noncePrefix: Uint8Array
  readonly chunkBytes: number
}

function chunkOpener({ aead, noncePrefix, chunkBytes }: ChunkOpenerOptions): Opener['openChunk'] {
  return (index, sealed, last) => {
    assertChunkIndex(index)
    if (!isPossible(sealed.byteLength - TAG_BYTES, index, last, chunkBytes)) throw damaged()
    const nonce = chunkNonce(noncePrefix, index, last)
    return refusingUniformly(() => aead.open(nonce, sealed))
  }
}

function isPossible(plainBytes: number, index: number, last: boolean, chunkBytes: number): boolean {
  const capacity = plainCapacity(index, chunkBytes)
  if (!last) return plainBytes === capacity
  return plainBytes <= capacity && plainBytes >= (index === 0 ? 0 : 1)
}

function refusingUniformly(open: () => Awaitable<Bytes>): Awaitable<Bytes> {
  try {
    const plain = open()
    return plain instanceof Promise ? plain.catch(() => Promise.reject(damaged())) : plain
  } catch {
    throw damaged()
  }
}
