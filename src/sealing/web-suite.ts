import { sha256 } from '@noble/hashes/sha2.js'
import type { Aead, Bytes, CryptoSuite, IncrementalHash } from './suite.ts'

const HASH = 'SHA-256'

/** WebCrypto, in browsers and in Node. Its ciphers run beside the caller's thread, so several chunks pay at once. */
export const webSuite: CryptoSuite = {
  parallel: 4,

  async hkdfSha256(key, salt, info, lengthBytes) {
    const base = await crypto.subtle.importKey('raw', own(key), 'HKDF', false, ['deriveBits'])
    const parameters = { name: 'HKDF', hash: HASH, salt: own(salt), info: own(info) }
    return new Uint8Array(await crypto.subtle.deriveBits(parameters, base, lengthBytes * 8))
  },

  async aesGcm(key) {
    const aes = await crypto.subtle.importKey('raw', own(key), 'AES-GCM', false, ['encrypt', 'decrypt'])
    return webAead(aes)
  },

  sha256() {
    return nobleHash()
  },

  randomBytes(byteCount) {
    return crypto.getRandomValues(new Uint8Array(byteCount))
  },
}

function webAead(key: CryptoKey): Aead {
  const parameters = (nonce: Uint8Array): AesGcmParams => ({ name: 'AES-GCM', iv: own(nonce), tagLength: 128 })
  return {
    async seal(nonce, plain) {
      return new Uint8Array(await crypto.subtle.encrypt(parameters(nonce), key, own(plain)))
    },
    async open(nonce, sealed) {
      return new Uint8Array(await crypto.subtle.decrypt(parameters(nonce), key, own(sealed)))
    },
  }
}

/** WebCrypto hashes whole messages only; a download of gigabytes is hashed as it arrives. */
function nobleHash(): IncrementalHash {
  const hash = sha256.create()
  const running: IncrementalHash = {
    update(bytes) {
      hash.update(bytes)
      return running
    },
    digest() {
      return own(hash.digest())
    },
  }
  return running
}

/** The same bytes outside shared memory, which WebCrypto does not take. Copies only when they are in it. */
function own(bytes: Uint8Array): Bytes {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Bytes) : new Uint8Array(bytes)
}
