/** A manifest as raw octets: N media ids of 26 bytes each, then the sealed manifest. */
import { createHash } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'
import { HEADER, MEDIA_COUNT_PATTERN } from '../../../protocol/headers.ts'
import type { Exchange } from '../exchange.ts'
import { cutIds, ID_BYTES, MAX_MEDIA, type SentManifest } from './sent-manifest.ts'

/** The number of ids at the head of the body; 0 when the header is absent. @throws invalid_request */
export function mediaCountOf({ req }: Pick<Exchange, 'req'>): number {
  const header = req.headers[HEADER.mediaCount]
  if (header === undefined) return 0
  const count = typeof header === 'string' && MEDIA_COUNT_PATTERN.test(header) ? Number(header) : Infinity
  if (count <= MAX_MEDIA) return count
  throw new SealiftError('invalid_request', `Sealift-Media-Count must be a whole number from 0 to ${MAX_MEDIA}`)
}

/** Hashes a body as it arrives, so that its hash never takes a long turn. */
export class OctetsHash {
  readonly #hash = createHash('sha256')

  readonly look = (piece: Uint8Array): void => {
    this.#hash.update(piece)
  }

  digest(): string {
    return this.#hash.digest('hex')
  }
}

/** @throws invalid_request when an id is none, or the body ends before the manifest */
export function cutOctets(body: Uint8Array<ArrayBuffer>, mediaCount: number, sha256: string): SentManifest {
  const idBytes = mediaCount * ID_BYTES
  if (body.length <= idBytes) throw new SealiftError('invalid_request', 'The body ends before its manifest')
  const ids = body.subarray(0, idBytes)
  if (!ids.every(isIdByte)) {
    throw new SealiftError('invalid_request', 'The body begins with the ids of the media, 26 characters each')
  }
  const text = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).toString('latin1')
  return { manifest: body.subarray(idBytes), media: cutIds(text), sha256 }
}

/** `a` to `z` and `2` to `7`: see `ID_PATTERN`. */
function isIdByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x32 && byte <= 0x37)
}
