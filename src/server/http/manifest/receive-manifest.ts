/** The body of a request that carries a manifest: raw octets, or JSON. */
import { createHash } from 'node:crypto'

import { SealiftError } from '../../../protocol/errors.ts'
import { HEADER, MEDIA_COUNT_PATTERN, OCTET_STREAM } from '../../../protocol/headers.ts'
import { type Caller, slotRequest } from '../../access/caller.ts'
import type { SlotLimiter } from '../../limits/limiter.ts'
import { manifestTooLarge } from '../../parcels/publish-parcel.ts'
import { type BodyDeps, contentLength, contentType, readBody, takeMemory } from '../request-body.ts'
import type { Exchange } from '../exchange.ts'
import { boundedBy, JSON_BYTES, tooLarge } from '../json-body.ts'
import {
  decodeManifest,
  fromDecoded,
  ID_BYTES,
  MANIFEST_BOUNDS,
  manifestJsonBytes,
  type ManifestRoute,
  MAX_MEDIA,
  type SentManifest,
  splitIds,
} from './manifest-json.ts'
import type { ManifestThread } from './manifest-thread.ts'

export interface ReceiveManifest {
  readonly bodies: BodyDeps
  readonly slots: SlotLimiter
  readonly manifests: ManifestThread
}

export interface ExpectedManifest {
  readonly caller: Caller
  readonly route: ManifestRoute
  /** Checks the free disk space. `null`: the size is unknown before the body is read. @throws storage_full */
  readonly admit: (manifestBytes: number | null) => Promise<void>
}

/**
 * Gives `use` the manifest of a request. The caller checks permissions before; size and free disk space are checked
 * here before a byte is read. Until `use` is done, the request holds an upload slot and the memory of its body.
 * @throws unsupported_media_type, length_required, too_large, storage_full, too_many_uploads, rate_limited,
 * unavailable, stalled, invalid_request
 */
export async function receiveManifest<T>(
  deps: ReceiveManifest,
  exchange: Exchange,
  { caller, route, admit }: ExpectedManifest,
  use: (manifest: SentManifest) => Promise<T>,
): Promise<T> {
  const form = formOf(exchange, caller, route)
  await admit(form.manifestBytes)
  using slot = await exchange.whileQueued(deps.slots.acquire(slotRequest(caller, 'upload'), exchange.signal))
  using _memory = await takeMemory(deps.bodies, exchange, caller, form.mostBytes)
  const signal = AbortSignal.any([exchange.signal, slot.signal])
  const { mostBytes, look, tooLarge } = form
  const body = await readBody(deps.bodies, exchange, caller, { mostBytes, look, tooLarge, signal })
  return await use(await form.parse(body, deps))
}

interface ManifestForm {
  /** `null`: unknown before the body is parsed. */
  readonly manifestBytes: number | null
  readonly mostBytes: number
  readonly look: (piece: Uint8Array) => void
  readonly tooLarge: () => Error
  readonly parse: (
    body: Uint8Array<ArrayBuffer>,
    deps: Pick<ReceiveManifest, 'manifests'>,
  ) => SentManifest | Promise<SentManifest>
}

function formOf(exchange: Exchange, { tier }: Caller, route: ManifestRoute): ManifestForm {
  const type = contentType(exchange)
  if (type === OCTET_STREAM) return octetsForm(exchange, tier.manifestBytes)
  if (type === 'application/json') return jsonForm(exchange, manifestJsonBytes(tier), route)
  throw new SealiftError('unsupported_media_type', `Send the manifest as ${OCTET_STREAM}`)
}

function octetsForm(exchange: Exchange, manifestBytes: number): ManifestForm {
  const mediaCount = mediaCountOf(exchange)
  const mostBytes = contentLength(exchange)
  if (mostBytes === null) throw new SealiftError('length_required', 'Send the size of the body as Content-Length')
  const sizeBytes = mostBytes - mediaCount * ID_BYTES
  if (sizeBytes > manifestBytes) throw manifestTooLarge(sizeBytes, manifestBytes)
  if (sizeBytes < 1) throw new SealiftError('invalid_request', 'The body ends before its manifest')
  // Hashing as the body arrives never blocks the event loop for long.
  const hash = createHash('sha256')
  return {
    manifestBytes: sizeBytes,
    mostBytes,
    look: piece => void hash.update(piece),
    tooLarge: () => manifestTooLarge(sizeBytes, manifestBytes),
    parse: body => parseOctets(body, mediaCount, hash.digest('hex')),
  }
}

function jsonForm(exchange: Exchange, limitBytes: number, route: ManifestRoute): ManifestForm {
  const length = contentLength(exchange)
  if (length !== null && length > limitBytes) throw tooLarge(limitBytes)
  return {
    manifestBytes: null,
    mostBytes: length ?? JSON_BYTES,
    look: boundedBy(MANIFEST_BOUNDS),
    tooLarge: () => new SealiftError('length_required', `Send the size of a body over ${JSON_BYTES} bytes beforehand`),
    parse: async (body, { manifests }) =>
      fromDecoded(body.length <= JSON_BYTES ? decodeManifest(body, route) : await manifests.decode(body, route)),
  }
}

/** The number of ids at the start of the body; 0 without the header. @throws invalid_request */
function mediaCountOf({ req }: Pick<Exchange, 'req'>): number {
  const header = req.headers[HEADER.mediaCount]
  if (header === undefined) return 0
  const count = typeof header === 'string' && MEDIA_COUNT_PATTERN.test(header) ? Number(header) : Infinity
  if (count <= MAX_MEDIA) return count
  throw new SealiftError('invalid_request', `Sealift-Media-Count must be a whole number from 0 to ${MAX_MEDIA}`)
}

/** N media ids of 26 bytes each, then the sealed manifest. @throws invalid_request */
function parseOctets(body: Uint8Array<ArrayBuffer>, mediaCount: number, sha256: string): SentManifest {
  const idBytes = mediaCount * ID_BYTES
  if (body.length <= idBytes) throw new SealiftError('invalid_request', 'The body ends before its manifest')
  const ids = body.subarray(0, idBytes)
  if (!ids.every(isIdByte)) {
    throw new SealiftError('invalid_request', 'The body begins with the media ids, 26 characters each')
  }
  const text = Buffer.from(ids.buffer, ids.byteOffset, ids.byteLength).toString('latin1')
  return { manifest: body.subarray(idBytes), media: splitIds(text), sha256 }
}

/** `a` to `z` and `2` to `7`: see `ID_PATTERN`. */
function isIdByte(byte: number): boolean {
  return (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x32 && byte <= 0x37)
}
