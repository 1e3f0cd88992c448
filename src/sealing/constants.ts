/** Bytes of the secret key of one media. */
export const KEY_BYTES = 32
/** Bytes of the random salt in the header. */
export const SALT_BYTES = 32
/** Bytes of the random nonce prefix in the header. */
export const NONCE_PREFIX_BYTES = 7
/** Bytes of the header: its own length, the salt, the nonce prefix. */
export const HEADER_BYTES = 1 + SALT_BYTES + NONCE_PREFIX_BYTES
/** Bytes of the AES-GCM tag that ends every chunk. */
export const TAG_BYTES = 16
/** Bytes of the key commitment that travels in the manifest. */
export const COMMIT_BYTES = 32
/**
 * Bytes of a chunk unless the sender chooses otherwise: 256 KiB, where AES-GCM is fastest in Node and in browsers.
 * Manifests are always sealed with it. The server cannot import it: `PART_STEP_BYTES` in protocol/parts.ts repeats it.
 */
export const DEFAULT_CHUNK_BYTES = 262_144
/** Smallest chunk an opener takes, in bytes. */
export const MIN_CHUNK_BYTES = 1024
/** Largest chunk an opener takes, in bytes: what a forged chunk size can make it allocate. */
export const MAX_CHUNK_BYTES = 4 * 1024 * 1024
/** Most chunks under one key: the index is 32 bits of the nonce. */
export const MAX_CHUNKS = 2 ** 32

/** What the sealed bytes are for. A ciphertext of one role never opens as another. */
export type Role = 'media' | 'manifest' | 'thumbnail'

export const ROLES: readonly Role[] = ['media', 'manifest', 'thumbnail']
