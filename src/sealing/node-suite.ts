import { createCipheriv, createDecipheriv, createHash, hkdf, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'
import { TAG_BYTES } from './constants.ts'
import type { Aead, Bytes, CryptoSuite, IncrementalHash } from './suite.ts'

const ALGORITHM = 'aes-256-gcm'
const deriveHkdf = promisify(hkdf)

/**
 * OpenSSL through node:crypto, on the caller's thread: the fastest way to seal in Node, where a worker can carry it.
 * The core never imports it, so that browsers never see it.
 */
export const nodeSuite: CryptoSuite = {
  parallel: 1,

  async hkdfSha256(key, salt, info, lengthBytes) {
    return new Uint8Array(await deriveHkdf('sha256', key, salt, info, lengthBytes))
  },

  aesGcm(key) {
    return Promise.resolve(nodeAead(Uint8Array.from(key)))
  },

  sha256() {
    return nodeHash()
  },

  randomBytes(byteCount) {
    return plainView(randomBytes(byteCount))
  },
}

function nodeAead(key: Uint8Array): Aead {
  return {
    seal(nonce, plain) {
      const cipher = createCipheriv(ALGORITHM, key, nonce)
      const sealed = withRoomFor(TAG_BYTES, cipher.update(plain))
      cipher.final()
      sealed.set(cipher.getAuthTag(), plain.byteLength)
      return sealed
    },
    open(nonce, sealed) {
      const border = sealed.byteLength - TAG_BYTES
      const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
      decipher.setAuthTag(sealed.subarray(border))
      const plain = decipher.update(sealed.subarray(0, border))
      decipher.final()
      return plainView(plain)
    },
  }
}

function nodeHash(): IncrementalHash {
  const hash = createHash('sha256')
  const running: IncrementalHash = {
    update(bytes) {
      hash.update(bytes)
      return running
    },
    digest() {
      return new Uint8Array(hash.digest())
    },
  }
  return running
}

/**
 * The bytes, and zeros behind them. Grows the buffer they came in, which moves nothing most of the time: half as fast
 * again as copying each chunk to join it with its tag.
 */
function withRoomFor(extraBytes: number, bytes: Buffer<ArrayBuffer>): Bytes {
  const length = bytes.byteLength + extraBytes
  if (bytes.byteLength === bytes.buffer.byteLength) return new Uint8Array(bytes.buffer.transfer(length))
  const grown = new Uint8Array(length)
  grown.set(bytes)
  return grown
}

/** A Buffer without its own `slice`, which does not copy as that of Uint8Array does. */
function plainView(buffer: Buffer<ArrayBuffer>): Bytes {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}
