/** The path of every route. Apart from the table in routes.ts, so that a client needs none of its schemas. */
export const PATHS = {
  beginUpload: '/v1/uploads',
  putPart: '/v1/uploads/{uploadId}/parts/{index}',
  directPart: '/v1/uploads/{uploadId}/parts/{index}/direct',
  confirmPart: '/v1/uploads/{uploadId}/parts/{index}/stored',
  uploadStatus: '/v1/uploads/{uploadId}',
  completeUpload: '/v1/uploads/{uploadId}/complete',
  abortUpload: '/v1/uploads/{uploadId}',
  storeMedia: '/v1/media',
  readMedia: '/v1/media/{mediaId}',
  headMedia: '/v1/media/{mediaId}',
  directRead: '/v1/media/{mediaId}/direct',
  endDirect: '/v1/direct/{transferId}',
  mediaInfo: '/v1/media/{mediaId}/info',
  forwardMedia: '/v1/media/{mediaId}/leases',
  endLease: '/v1/media/{mediaId}',
  publishParcel: '/v1/parcels',
  replaceManifest: '/v1/parcels/{parcelId}/manifest',
  readParcel: '/v1/parcels/{parcelId}',
  endParcel: '/v1/parcels/{parcelId}',
  limits: '/v1/limits',
  health: '/healthz',
  ready: '/readyz',
  openapi: '/openapi.json',
} as const

export type RouteName = keyof typeof PATHS

type ParameterNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterNames<Rest>
  : never

/** The parameters in the path of a route: `{uploadId, index}` for `putPart`. */
export type RouteParameters<Name extends RouteName> = {
  readonly [Parameter in ParameterNames<(typeof PATHS)[Name]>]: string | number
}

/** The path of a route with its parameters filled in (percent-encoded). */
export function routePath<Name extends RouteName>(name: Name, parameters: RouteParameters<Name>): string {
  const values: Readonly<Record<string, string | number>> = parameters
  return PATHS[name].replaceAll(/\{(\w+)\}/g, (_, parameter: string) => encodeURIComponent(String(values[parameter])))
}
