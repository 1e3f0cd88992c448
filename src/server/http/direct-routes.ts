/** The routes of direct transfer: bytes between client and S3 service, without this server. */
import { HEADER } from '../../protocol/headers.ts'
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
import {
  confirmDirectPart,
  presignPartUpload,
  type AnnouncedPart,
  type DirectParts,
} from '../transfers/direct/presign-part.ts'
import { presignMediaRead, endDirectTransfer, type DirectReads } from '../transfers/direct/presign-read.ts'
import { requireDirect } from '../transfers/direct/direct-access.ts'
import { etagOf } from '../transfers/download/describe-media.ts'
import { openMedia } from '../transfers/download/open-media.ts'
import { findLiveUpload } from '../transfers/upload/find-upload.ts'
import { sendEmpty, sendJson } from './responses.ts'
import type { BodyDeps } from './request-body.ts'
import type { Exchange } from './exchange.ts'
import { readJson } from './json-body.ts'
import { partIndex } from './upload-routes.ts'

export type DirectRoutes = DirectParts & DirectReads & { readonly bodies: BodyDeps }

export async function directPartRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  parameters: readonly string[],
): Promise<void> {
  const part = await readPart(deps, exchange, caller, parameters)
  const presigned = await exchange.whileQueued(presignPartUpload(deps, caller, part, exchange.signal))
  if (presigned) sendJson(exchange, 200, presigned)
  else sendEmpty(exchange, 204)
}

export async function confirmPartRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  parameters: readonly string[],
): Promise<void> {
  await confirmDirectPart(deps, caller, await readPart(deps, exchange, caller, parameters), exchange.signal)
  sendEmpty(exchange, 204)
}

export async function directReadRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  requireDirect(deps)
  await openMedia(deps.records, mediaId, deps.clock())
  const range = await readJson(deps.bodies, exchange, caller, ROUTES.directRead.json)
  const header = exchange.req.headers[HEADER.download]
  const grant = typeof header === 'string' ? header : undefined
  const presigning = presignMediaRead(deps, caller, { mediaId, grant, ...range }, exchange.signal)
  const { read, media, counted } = await exchange.whileQueued(presigning)
  const download = counted ? ['Sealift-Download', counted.grantId] : []
  sendJson(exchange, 200, read, ['ETag', etagOf(media.blobId), ...download])
}

export async function endDirectRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  [transferId = '']: readonly string[],
): Promise<void> {
  endDirectTransfer(deps, transferId)
  sendEmpty(exchange, 204)
}

/** Checks that the upload is the caller's before the body is read. */
async function readPart(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '', index = '']: readonly string[],
): Promise<AnnouncedPart> {
  const position = partIndex(index)
  requireDirect(deps)
  await findLiveUpload(deps.records, uploadId, caller)
  const part = await readJson(deps.bodies, exchange, caller, ROUTES.directPart.json)
  return { uploadId, index: position, ...part }
}
