import * as z from 'zod'

import { ID_PATTERN } from '../protocol/ids.ts'

/** A chunk is held in memory whole: this bounds what a manifest can make a receiver allocate. */
const MIN_CHUNK_BYTES = 1024
const MAX_CHUNK_BYTES = 1024 * 1024
/** 32 bytes as base64url. */
export const BYTES_32_PATTERN = /^[A-Za-z0-9_-]{43}$/

export const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
export const bytes32 = z.string().regex(BYTES_32_PATTERN)

/** Where sealed bytes are and what opens them. */
export const sealedFields = {
  bytes: size.describe('True length of the plaintext, padding left out'),
  media: z.string().regex(ID_PATTERN).describe('Id of the media on the server'),
  key: bytes32.describe('What opens it'),
  chunkBytes: z.int().min(MIN_CHUNK_BYTES).max(MAX_CHUNK_BYTES).describe('Of the sealed bytes'),
  sealedBytes: size.min(1).describe('Length of the sealed bytes, padding and header with them'),
  sha256: bytes32.describe('Of all sealed bytes'),
  commit: bytes32.describe('Commitment to the key; compared before anything is opened'),
}
