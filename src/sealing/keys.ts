import { concatBytes, equalInConstantTime } from './byte-tools.ts'
import { COMMIT_BYTES, HEADER_BYTES, KEY_BYTES, NONCE_PREFIX_BYTES, ROLES, SALT_BYTES } from './constants.ts'
import type { Role } from './constants.ts'
import { damaged, invalidArgument } from './sealing-error.ts'
import type { Aead, Bytes, CryptoSuite } from './suite.ts'

const utf8 = new TextEncoder()
const COMMIT_INFO = utf8.encode('sealift/1/commit')

/** The fields of a header: the salt of the key derivation and the first bytes of every nonce. */
export interface Header {
  readonly salt: Uint8Array
  readonly noncePrefix: Uint8Array
}

/** The first 40 bytes of a sealed media item: their own number, the salt, the nonce prefix. */
export function encodeHeader({ salt, noncePrefix }: Header): Bytes {
  if (salt.byteLength !== SALT_BYTES) throw invalidArgument('A salt has 32 bytes')
  if (noncePrefix.byteLength !== NONCE_PREFIX_BYTES) throw invalidArgument('A nonce prefix has 7 bytes')
  return concatBytes(Uint8Array.of(HEADER_BYTES), salt, noncePrefix)
}

/** @throws {SealingError} `damaged` unless it is a header of this version */
export function decodeHeader(header: Uint8Array): Header {
  if (header.byteLength !== HEADER_BYTES || header[0] !== HEADER_BYTES) throw damaged()
  const salt = header.slice(1, 1 + SALT_BYTES)
  return { salt, noncePrefix: header.slice(1 + SALT_BYTES) }
}

/** The AES-GCM that seals the chunks: under a key derived for this salt and this role alone. */
export async function deriveAead(suite: CryptoSuite, key: Uint8Array, salt: Uint8Array, role: Role): Promise<Aead> {
  const derived = await suite.hkdfSha256(key, salt, associatedData(role), KEY_BYTES)
  return suite.aesGcm(derived)
}

/** The value that ties a sealed media to the one key that may open it: HKDF-SHA256(key, salt, `sealift/1/commit`). */
export function deriveCommit(suite: CryptoSuite, key: Uint8Array, salt: Uint8Array): Promise<Bytes> {
  return suite.hkdfSha256(key, salt, COMMIT_INFO, COMMIT_BYTES)
}

/** @throws {SealingError} `damaged` unless `expected` is the commitment of this key and salt */
export async function checkCommit(
  suite: CryptoSuite,
  key: Uint8Array,
  salt: Uint8Array,
  expected: Uint8Array,
): Promise<void> {
  if (!equalInConstantTime(await deriveCommit(suite, key, salt), expected)) throw damaged()
}

/** The 12-byte nonce of one chunk: prefix, index in big-endian order, 1 for the last chunk and 0 for the others. */
export function chunkNonce(noncePrefix: Uint8Array, index: number, last: boolean): Bytes {
  const nonce = new Uint8Array(NONCE_PREFIX_BYTES + 5)
  nonce.set(noncePrefix)
  new DataView(nonce.buffer).setUint32(NONCE_PREFIX_BYTES, index)
  nonce[nonce.byteLength - 1] = last ? 1 : 0
  return nonce
}

/** The associated data of a role: UTF-8 of `sealift/1/` and its name. */
export function associatedData(role: Role): Bytes {
  return utf8.encode(`sealift/1/${role}`)
}

/** @throws {SealingError} `invalid_argument` unless the key has 32 bytes and the role exists */
export function assertKeyAndRole(key: Uint8Array, role: Role): void {
  if (key.byteLength !== KEY_BYTES) throw invalidArgument('A key has 32 bytes')
  if (!ROLES.includes(role)) throw invalidArgument('There is no such role')
}
