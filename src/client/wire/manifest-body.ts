import { isSealiftError } from '../../protocol/errors.ts'
import { HEADER, OCTET_STREAM } from '../../protocol/headers.ts'
import { parcelReader, type Parcel } from '../../protocol/response-readers.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { jsonBody, type Server, type ServerRequest } from './http.ts'

export interface SealedManifest {
  readonly sealed: Uint8Array<ArrayBuffer>
  /** Media whose leases end with the parcel. */
  readonly media: readonly string[]
}

export interface ManifestRequest {
  readonly target: Pick<ServerRequest, 'method' | 'path' | 'headers' | 'signal'>
  readonly manifest: SealedManifest
  readonly ttlSeconds: number | undefined
}

/** Sends a manifest as raw octets, or as JSON to a server that does not take those. */
export async function sendManifest(server: Server, request: ManifestRequest): Promise<Parcel> {
  if (server.takesOnlyJson) return server.json(asJson(request), parcelReader)
  try {
    return await server.json(asOctets(request), parcelReader)
  } catch (error) {
    if (!isSealiftError(error, 'unsupported_media_type')) throw error
    server.noteJsonOnly()
    return server.json(asJson(request), parcelReader)
  }
}

function asOctets({ target, manifest: { sealed, media }, ttlSeconds }: ManifestRequest): ServerRequest {
  const ids = new TextEncoder().encode(media.join(''))
  const body = new Uint8Array(ids.length + sealed.length)
  body.set(ids)
  body.set(sealed, ids.length)
  const headers = { ...target.headers, 'content-type': OCTET_STREAM, [HEADER.mediaCount]: String(media.length) }
  return { ...target, headers, body, query: { ttlSeconds } }
}

function asJson({ target, manifest: { sealed, media }, ttlSeconds }: ManifestRequest): ServerRequest {
  const { body, headers } = jsonBody({
    manifest: toBase64Url(sealed),
    media,
    ...(ttlSeconds !== undefined && { ttlSeconds }),
  })
  return { ...target, headers: { ...target.headers, ...headers }, body }
}
