/** The JSON routes of media items. */
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
import { describeComplete, mediaInfo } from '../transfers/download/describe-media.ts'
import { removeLease, assertKnown, addLease, type ForwardMedia } from '../transfers/download/leases.ts'
import { sendEmpty, sendJson } from './responses.ts'
import type { BodyDeps } from './request-body.ts'
import type { Exchange } from './exchange.ts'
import { asIdempotentCaller } from './gate.ts'
import { readJson } from './json-body.ts'

export interface MediaRoutes extends ForwardMedia {
  readonly bodies: BodyDeps
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
  await assertKnown(deps.records, mediaId)
  const request = await readJson(deps.bodies, exchange, caller, ROUTES.forwardMedia.json)
  const media = await addLease(deps, asIdempotentCaller(exchange, caller, request, deps.clock), mediaId, request)
  sendJson(exchange, 201, describeComplete(media))
}

export async function endLeaseRoute(
  deps: MediaRoutes,
  exchange: Exchange,
  caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  await removeLease(deps, caller, mediaId)
  sendEmpty(exchange, 204)
}
