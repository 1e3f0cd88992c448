/** The JSON routes of uploads. */
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
import { describeComplete } from '../transfers/download/describe-media.ts'
import { abortUpload, completeUpload, type CompleteUpload } from '../transfers/upload/end-upload.ts'
import { beginUpload, describeBegun, type BeginUpload } from '../transfers/upload/begin-upload.ts'
import { findLiveUpload, uploadStatus, type UploadStatusParts } from '../transfers/upload/find-upload.ts'
import { sendEmpty, sendJson } from './responses.ts'
import type { Exchange } from './exchange.ts'
import { asMaker } from './gate.ts'
import type { Buffering } from './buffered-body.ts'
import { readJson } from './json-body.ts'

export type UploadRoutes = BeginUpload & CompleteUpload & UploadStatusParts & Buffering

export async function beginUploadRoute(deps: UploadRoutes, exchange: Exchange, caller: Caller): Promise<void> {
  const request = await readJson(deps, exchange, caller, ROUTES.beginUpload.json)
  const { upload } = await beginUpload(deps, asMaker(exchange, caller, request, deps.clock), request)
  sendJson(exchange, 201, describeBegun(upload, deps.transferMode()))
}

export async function uploadStatusRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  sendJson(exchange, 200, await uploadStatus(deps, uploadId, caller))
}

export async function completeUploadRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  await findLiveUpload(deps.records, uploadId, caller)
  const { sizeBytes } = await readJson(deps, exchange, caller, ROUTES.completeUpload.json)
  const media = await completeUpload(deps, caller, { uploadId, sizeBytes })
  sendJson(exchange, 200, describeComplete(media))
}

export async function abortUploadRoute(
  deps: UploadRoutes,
  exchange: Exchange,
  caller: Caller,
  [uploadId = '']: readonly string[],
): Promise<void> {
  await abortUpload(deps, caller, uploadId)
  sendEmpty(exchange, 204)
}
