import { SealiftError } from '../../protocol/errors.ts'
import { HEADER, OCTET_STREAM, parseContentDigest } from '../../protocol/headers.ts'
import { MAX_PART_INDEX } from '../../protocol/ids.ts'
import type { Caller } from '../access/caller.ts'
import { putPart, type PutPart } from '../transfers/upload/put-part.ts'
import { sendEmpty } from './responses.ts'
import type { Exchange } from './exchange.ts'
import { receive, type Receiving } from './receive.ts'

const INDEX = /^(?:0|[1-9]\d*)$/

/** PUT of one part: the body goes to the store as it arrives, and is not asked for before everything else is sure. */
export async function putPartRoute(
  deps: PutPart & Receiving,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '', index = '']: readonly string[],
): Promise<void> {
  const position = partIndex(index)
  requireOctets(exchange)
  const sizeBytes = requireLength(exchange)
  const sha256 = digestOf(exchange)
  await receive(deps, exchange, caller, source =>
    putPart(deps, caller, { uploadId, index: position, sizeBytes, sha256, source }, exchange.signal),
  )
  sendEmpty(exchange, 204)
}

/** @throws invalid_request */
export function partIndex(index: string): number {
  if (INDEX.test(index) && Number(index) <= MAX_PART_INDEX) return Number(index)
  throw new SealiftError('invalid_request', `The index of a part is a whole number from 0 to ${MAX_PART_INDEX}`)
}

function requireLength({ req }: Exchange): number {
  const length = req.headers['content-length']
  if (length === undefined) throw new SealiftError('length_required', 'Send the size of the part as Content-Length')
  const sizeBytes = Number(length)
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0) return sizeBytes
  throw new SealiftError('invalid_request', 'A part has at least one byte')
}

/** A missing type is taken for bytes: there is nothing else a part could be. */
function requireOctets({ req }: Exchange): void {
  const type = req.headers['content-type']
  if (type === undefined || type.toLowerCase().startsWith(OCTET_STREAM)) return
  throw new SealiftError('unsupported_media_type', `Send the bytes as ${OCTET_STREAM}`)
}

/** @throws invalid_request when `Content-Digest` is there but names no SHA-256: it must not be ignored silently */
export function digestOf({ req }: Exchange): string | null {
  const header = req.headers[HEADER.contentDigest]
  if (header === undefined) return null
  const sha256 = typeof header === 'string' ? parseContentDigest(header) : null
  if (sha256 !== null) return sha256
  throw new SealiftError('invalid_request', 'Content-Digest must be sha-256=:<base64>:')
}
