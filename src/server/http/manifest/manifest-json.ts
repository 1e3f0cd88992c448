/** A manifest in JSON: base64url beside a list of ids. Deprecated: it costs ten times as much as raw octets. */
import { createHash } from 'node:crypto'

import { ROUTES } from '../../../protocol/routes.ts'
import type { Tier } from '../../access/caller.ts'
import { checkShape, JSON_BYTES, type JsonBounds, parseJson } from '../json-body.ts'

export const ID_BYTES = 26
/** Media items that one parcel may cover. */
export const MAX_MEDIA = 20_000

export type ManifestRoute = 'publishParcel' | 'replaceManifest'

/** One object with a list of ids and a few keys; the schema is checked after parsing. */
export const MANIFEST_BOUNDS: JsonBounds = { depth: 2, members: MAX_MEDIA + 16 }

/** Largest JSON body of a manifest: each id with quotes, a comma and white space. */
export function manifestJsonBytes({ manifestBytes }: Pick<Tier, 'manifestBytes'>): number {
  return Math.ceil((manifestBytes * 4) / 3) + MAX_MEDIA * (ID_BYTES + 4) + JSON_BYTES
}

/** What is passed between threads: to pass a list of 20,000 strings would take as long as to parse it. */
export interface DecodedManifest {
  readonly manifest: Uint8Array<ArrayBuffer>
  /** All ids in one string, without a separator. */
  readonly ids: string
  readonly ttlSeconds: number | undefined
  readonly sha256: string
}

/** @throws invalid_request */
export function decodeManifest(body: Uint8Array<ArrayBuffer>, route: ManifestRoute): DecodedManifest {
  const request = checkShape(ROUTES[route].json, parseJson(body))
  const manifest = Uint8Array.from(Buffer.from(request.manifest, 'base64url'))
  const ids = request.media.join('')
  const sha256 = createHash('sha256').update(ids, 'latin1').update(manifest).digest('hex')
  return { manifest, ids, sha256, ttlSeconds: 'ttlSeconds' in request ? request.ttlSeconds : undefined }
}

export function fromDecoded({ ids, ...decoded }: DecodedManifest): SentManifest {
  return { ...decoded, media: splitIds(ids) }
}

/** A sealed manifest as it was sent, with the ids of the media items that it covers. */
export interface SentManifest {
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  readonly ttlSeconds?: number | undefined
  /** SHA-256 (hex) of the media ids and the manifest; a repeated request must have the same. */
  readonly sha256: string
}

export function splitIds(text: string): string[] {
  return Array.from({ length: text.length / ID_BYTES }, (_, at) => text.slice(at * ID_BYTES, (at + 1) * ID_BYTES))
}
