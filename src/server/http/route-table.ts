/**
 * The access policy, read from top to bottom: which handler serves which route, by who may call it. A route that is
 * not in the table does not exist; the compiler requires every route of the wire contract.
 */
import type { RouteName } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
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
import { getMedia, type GetMedia, headMedia } from './get-media.ts'
import { healthRoute, limitsRoute, openapiRoute, readyRoute, type ServiceRoutes } from './service-routes.ts'
import {
  abortUploadRoute,
  beginUploadRoute,
  completeUploadRoute,
  putPartRoute,
  type PutPartRoute,
  storeMediaRoute,
  type StoreMediaRoute,
  type UploadRoutes,
  uploadStatusRoute,
} from './upload-routes.ts'

export type Handler = (exchange: Exchange, caller: Caller, parameters: readonly string[]) => Promise<void>
export type PublicHandler = (exchange: Exchange) => Promise<void>

export type RouteTable = { readonly [Name in Exclude<RouteName, PublicRoute>]: Handler } & {
  readonly [Name in PublicRoute]: PublicHandler
}

/** What each group of routes needs; `compose/wire-routes.ts` provides it. */
export interface RouteDeps {
  readonly service: ServiceRoutes
  readonly uploads: UploadRoutes
  readonly parts: PutPartRoute
  readonly store: StoreMediaRoute
  readonly read: GetMedia
  readonly media: MediaRoutes
  readonly parcels: ParcelRoutes
  readonly direct: DirectRoutes
}

export function routeTable({ service, uploads, parts, store, read, media, parcels, direct }: RouteDeps): RouteTable {
  return {
    // Anyone.
    health: exchange => healthRoute(exchange),
    ready: exchange => readyRoute(service, exchange),

    // Anyone, within the request rate of the client or address.
    openapi: exchange => openapiRoute(service, exchange),

    // A client: a bearer token, or open mode.
    beginUpload: (exchange, caller) => beginUploadRoute(uploads, exchange, caller),
    storeMedia: (exchange, caller) => storeMediaRoute(store, exchange, caller),
    forwardMedia: (exchange, caller, ids) => forwardMediaRoute(media, exchange, caller, ids),
    publishParcel: (exchange, caller) => publishParcelRoute(parcels, exchange, caller),
    limits: (exchange, caller) => limitsRoute(service, exchange, caller),

    // The client that began the upload; each verb checks it on the upload.
    putPart: (exchange, caller, ids) => putPartRoute(parts, exchange, caller, ids),
    directPart: (exchange, caller, ids) => directPartRoute(direct, exchange, caller, ids),
    confirmPart: (exchange, caller, ids) => confirmPartRoute(direct, exchange, caller, ids),
    uploadStatus: (exchange, caller, ids) => uploadStatusRoute(uploads, exchange, caller, ids),
    completeUpload: (exchange, caller, ids) => completeUploadRoute(uploads, exchange, caller, ids),
    abortUpload: (exchange, caller, ids) => abortUploadRoute(uploads, exchange, caller, ids),

    // Holders of the unguessable id.
    readMedia: (exchange, caller, [mediaId = '']) => getMedia(read, exchange, caller, mediaId),
    headMedia: (exchange, _caller, [mediaId = '']) => headMedia(read, exchange, mediaId),
    directRead: (exchange, caller, ids) => directReadRoute(direct, exchange, caller, ids),
    endDirect: (exchange, _caller, ids) => endDirectRoute(direct, exchange, ids),
    mediaInfo: (exchange, caller, ids) => mediaInfoRoute(media, exchange, caller, ids),
    readParcel: (exchange, caller, ids) => readParcelRoute(parcels, exchange, caller, ids),

    // The client that created it, or the holder of its owner secret; the transaction that changes it checks this.
    endLease: (exchange, caller, ids) => endLeaseRoute(media, exchange, caller, ids),
    replaceManifest: (exchange, caller, ids) => replaceManifestRoute(parcels, exchange, caller, ids),
    endParcel: (exchange, caller, ids) => endParcelRoute(parcels, exchange, caller, ids),
  }
}
