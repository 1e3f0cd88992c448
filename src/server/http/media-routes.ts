/** The JSON routes of media. */
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../caller.ts'
import { describeComplete } from '../media/describe-media.ts'
import { endLease } from '../media/end-lease.ts'
import { forwardMedia, type ForwardMedia } from '../media/forward-media.ts'
import { mediaInfo } from '../media/media-info.ts'
import { sendEmpty, sendJson } from './answers.ts'
import type { Exchange } from './exchange.ts'
import { asMaker } from './gate.ts'
import { JSON_BYTES, readJson, type JsonBodyOptions } from './json-body.ts'

export interface MediaRoutes extends ForwardMedia {
  readonly jsonBody: (limitBytes: number) => JsonBodyOptions
}

export async function mediaInfoRoute(
  deps: MediaRoutes,
  exchange: Exchange,
  _caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  sendJson(exchange, 200, await mediaInfo(deps, mediaId))
}

export async function forwardMediaRoute(
  deps: MediaRoutes,
  exchange: Exchange,
  caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  const request = await readJson(exchange, ROUTES.forwardMedia.json, deps.jsonBody(JSON_BYTES))
  const media = await forwardMedia(deps, asMaker(exchange, caller, request, deps.clock), mediaId, request)
  sendJson(exchange, 201, describeComplete(media))
}

export async function endLeaseRoute(
  deps: MediaRoutes,
  exchange: Exchange,
  caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  await endLease(deps, caller, mediaId)
  sendEmpty(exchange, 204)
}
