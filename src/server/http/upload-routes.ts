/** The routes of uploads: in parts, or whole in one request. */
import { SealiftError } from '../../protocol/errors.ts'
import { HEADER, OCTET_STREAM, parseContentDigest } from '../../protocol/headers.ts'
import { MAX_PART_INDEX } from '../../protocol/ids.ts'
import { ROUTES } from '../../protocol/routes.ts'
import { type Caller, slotRequest } from '../access/caller.ts'
import type { SlotLimiter } from '../limits/limiter.ts'
import { describeComplete } from '../transfers/download/describe-media.ts'
import { createUpload, type BeginUpload, describeBegun } from '../transfers/upload/begin-upload.ts'
import { verifyDigest } from '../transfers/upload/received-bytes.ts'
import { cancelUpload, endUpload, type CompleteUpload } from '../transfers/upload/end-upload.ts'
import { findLiveUpload, describeUpload, type UploadStatusParts } from '../transfers/upload/find-upload.ts'
import { receivePart, type PutPart } from '../transfers/upload/put-part.ts'
import { storeForm } from '../transfers/upload/store-form.ts'
import { receiveMedia, type StoreMediaDeps } from '../transfers/upload/store-media.ts'
import type { Exchange } from './exchange.ts'
import { formFiles } from './form-files.ts'
import { asIdempotentCaller } from './gate.ts'
import { queryOf, readJson } from './json-body.ts'
import { describeProblem } from './problems.ts'
import { type BodyDeps, contentLength, contentType, receive, takeMemory } from './request-body.ts'
import { sendEmpty, sendJson } from './responses.ts'

export interface UploadRoutes extends BeginUpload, CompleteUpload, UploadStatusParts {
  readonly bodies: BodyDeps
}

export async function beginUploadRoute(deps: UploadRoutes, exchange: Exchange, caller: Caller): Promise<void> {
  const request = await readJson(deps.bodies, exchange, caller, ROUTES.beginUpload.json)
  const { upload } = await createUpload(deps, asIdempotentCaller(exchange, caller, request, deps.clock), request)
  sendJson(exchange, 201, describeBegun(upload, deps.transferMode()))
}

export async function uploadStatusRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  sendJson(exchange, 200, await describeUpload(deps, uploadId, caller))
}

export async function completeUploadRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  await findLiveUpload(deps.records, uploadId, caller)
  const { sizeBytes } = await readJson(deps.bodies, exchange, caller, ROUTES.completeUpload.json)
  const media = await endUpload(deps, caller, { uploadId, sizeBytes })
  sendJson(exchange, 200, describeComplete(media))
}

export async function abortUploadRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  await cancelUpload(deps, caller, uploadId)
  sendEmpty(exchange, 204)
}

const INDEX = /^(?:0|[1-9]\d*)$/

export interface PutPartRoute extends PutPart {
  readonly bodies: BodyDeps
}

/** PUT of one part: streams the body to the store. The body is not read before every other check has passed. */
export async function putPartRoute(
  deps: PutPartRoute,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '', index = '']: readonly string[],
): Promise<void> {
  const position = partIndex(index)
  requireOctets(exchange)
  const sizeBytes = requireLength(exchange)
  const sha256 = digestOf(exchange)
  await receive(deps.bodies, exchange, caller, source =>
    receivePart(deps, caller, { uploadId, index: position, sizeBytes, sha256, source }, exchange.signal),
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

/** Without a `Content-Type` the body counts as bytes. */
function requireOctets({ req }: Exchange): void {
  const type = req.headers['content-type']
  if (type === undefined || type.toLowerCase().startsWith(OCTET_STREAM)) return
  throw new SealiftError('unsupported_media_type', `Send the bytes as ${OCTET_STREAM}`)
}

/** @throws invalid_request for a `Content-Digest` without a SHA-256: ignoring it would hide damage */
export function digestOf({ req }: Exchange): string | null {
  const header = req.headers[HEADER.contentDigest]
  if (header === undefined) return null
  const sha256 = typeof header === 'string' ? parseContentDigest(header) : null
  if (sha256 !== null) return sha256
  throw new SealiftError('invalid_request', 'Content-Digest must be sha-256=:<base64>:')
}

export interface StoreMediaRoute extends StoreMediaDeps {
  readonly slots: SlotLimiter
  readonly bodies: BodyDeps
}

/** Read ahead from a body of unknown size, to find out whether it is small. */
const AHEAD_BYTES = 128 * 1024
/** Read ahead and in the parser of a form. */
const FORM_BYTES = 256 * 1024

/** POST of complete media items: one as a raw body, or several as the files of a form. */
export function storeMediaRoute(deps: StoreMediaRoute, exchange: Exchange, caller: Caller): Promise<void> {
  const type = contentType(exchange)
  if (type === OCTET_STREAM) return storeRaw(deps, exchange, caller)
  if (type === 'multipart/form-data') return storeMany(deps, exchange, caller)
  throw new SealiftError('unsupported_media_type', `Send bytes as ${OCTET_STREAM}, or files as multipart/form-data`)
}

async function storeRaw(deps: StoreMediaRoute, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.storeMedia.query)
  const sizeBytes = contentLength(exchange)
  if (sizeBytes === 0) throw new SealiftError('invalid_request', 'There are no bytes to store')
  const sha256 = digestOf(exchange)
  const sender = asIdempotentCaller(exchange, caller, [query, sizeBytes, sha256], deps.clock)
  const media = await receive(deps.bodies, exchange, caller, async source => {
    using slot = await deps.slots.acquire(slotRequest(caller, 'upload'), exchange.signal)
    using _memory = sizeBytes === null ? await takeMemory(deps.bodies, exchange, caller, AHEAD_BYTES) : null
    const whole = { ...query, kind: query.kind ?? 'other', sizeBytes, atMostBytes: () => null, sha256, source } as const
    return await receiveMedia(deps, sender, whole, AbortSignal.any([exchange.signal, slot.signal]))
  })
  sendJson(exchange, 201, describeComplete(media))
}

async function storeMany(deps: StoreMediaRoute, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.storeMedia.query)
  const sha256 = digestOf(exchange)
  const sender = asIdempotentCaller(exchange, caller, query, deps.clock)
  const { formMaxFiles } = deps.terms()
  const totalBytes = contentLength(exchange)
  const results = await receive(deps.bodies, exchange, caller, async source => {
    using slot = await deps.slots.acquire(slotRequest(caller, 'upload'), exchange.signal)
    using _memory = await takeMemory(deps.bodies, exchange, caller, Math.min(totalBytes ?? Infinity, FORM_BYTES))
    const form = sha256 === null ? source : verifyDigest(source, sha256)
    const files = formFiles(exchange.req.headers, form, { maxFiles: formMaxFiles, totalBytes })
    const toStore = { ...query, kind: query.kind ?? 'other', files, maxFiles: formMaxFiles } as const
    return await storeForm(deps, sender, toStore, AbortSignal.any([exchange.signal, slot.signal]))
  })
  sendJson(exchange, 200, {
    results: results.map(({ index, field, outcome }) => ({
      index,
      field,
      ...('media' in outcome
        ? { media: describeComplete(outcome.media) }
        : { problem: describeProblem(outcome.error, exchange.requestId) }),
    })),
  })
}
