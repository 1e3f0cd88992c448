/**
 * The access policy, read from top to bottom: which handler serves which route, by who may call it. A route that is not
 * here does not exist; the compiler sees to it that every route of the wire contract is.
 */
import type { RouteName } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
import type { LimitsReport } from '../limits/limits-report.ts'
import type { RecordStore } from '../records/record-store.ts'
import type { PutPart } from '../transfers/upload/put-part.ts'
import {
  confirmPartRoute,
  directPartRoute,
  directReadRoute,
  type DirectRoutes,
  endDirectRoute,
} from './direct-routes.ts'
import type { Exchange } from './exchange.ts'
import type { PublicRoute } from './gate.ts'
import { endLeaseRoute, forwardMediaRoute, mediaInfoRoute, type MediaRoutes } from './media-routes.ts'
import {
  endParcelRoute,
  type ParcelRoutes,
  publishParcelRoute,
  readParcelRoute,
  replaceManifestRoute,
} from './parcel-routes.ts'
import { healthRoute, limitsRoute, openapiRoute, type PublicRoutes, readyRoute } from './public-routes.ts'
import { type GetMedia, getMedia, headMedia } from './get-media.ts'
import type { Receiving } from './request-body.ts'
import {
  abortUploadRoute,
  beginUploadRoute,
  completeUploadRoute,
  putPartRoute,
  type StoreMedia,
  storeMediaRoute,
  type UploadRoutes,
  uploadStatusRoute,
} from './upload-routes.ts'

export type Handler = (exchange: Exchange, caller: Caller, parameters: readonly string[]) => Promise<void>
export type PublicHandler = (exchange: Exchange) => Promise<void>

export type RouteTable = { readonly [Name in Exclude<RouteName, PublicRoute>]: Handler } & {
  readonly [Name in PublicRoute]: PublicHandler
}

/** All that the handlers use between them; each asks for its own small part. */
export type Services = { readonly records: RecordStore } & PublicRoutes &
  UploadRoutes &
  PutPart &
  StoreMedia &
  MediaRoutes &
  DirectRoutes &
  GetMedia &
  ParcelRoutes &
  LimitsReport &
  Receiving

export function routeTable(services: Services): RouteTable {
  const s = services
  return {
    // Anyone.
    health: exchange => healthRoute(s, exchange),
    ready: exchange => readyRoute(s, exchange),

    // Anyone, within the request rate of the client or address.
    openapi: exchange => openapiRoute(s, exchange),

    // A client: a bearer token, or open mode.
    beginUpload: (exchange, caller) => beginUploadRoute(s, exchange, caller),
    storeMedia: (exchange, caller) => storeMediaRoute(s, exchange, caller),
    forwardMedia: (exchange, caller, ids) => forwardMediaRoute(s, exchange, caller, ids),
    publishParcel: (exchange, caller) => publishParcelRoute(s, exchange, caller),
    limits: (exchange, caller) => limitsRoute(s, exchange, caller),

    // The client that began this upload; each verb checks it on the upload itself.
    putPart: (exchange, caller, ids) => putPartRoute(s, exchange, caller, ids),
    directPart: (exchange, caller, ids) => directPartRoute(s, exchange, caller, ids),
    confirmPart: (exchange, caller, ids) => confirmPartRoute(s, exchange, caller, ids),
    uploadStatus: (exchange, caller, ids) => uploadStatusRoute(s, exchange, caller, ids),
    completeUpload: (exchange, caller, ids) => completeUploadRoute(s, exchange, caller, ids),
    abortUpload: (exchange, caller, ids) => abortUploadRoute(s, exchange, caller, ids),

    // Whoever knows the unguessable id.
    readMedia: (exchange, caller, [mediaId = '']) => getMedia(s, exchange, caller, mediaId),
    headMedia: (exchange, _caller, [mediaId = '']) => headMedia(s, exchange, mediaId),
    directRead: (exchange, caller, ids) => directReadRoute(s, exchange, caller, ids),
    endDirect: (exchange, _caller, ids) => endDirectRoute(s, exchange, ids),
    mediaInfo: (exchange, caller, ids) => mediaInfoRoute(s, exchange, caller, ids),
    readParcel: (exchange, caller, ids) => readParcelRoute(s, exchange, caller, ids),

    // The client that made it, or the holder of its owner secret; checked in the transaction that changes it.
    endLease: (exchange, caller, ids) => endLeaseRoute(s, exchange, caller, ids),
    replaceManifest: (exchange, caller, ids) => replaceManifestRoute(s, exchange, caller, ids),
    endParcel: (exchange, caller, ids) => endParcelRoute(s, exchange, caller, ids),
  }
}
