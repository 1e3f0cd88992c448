/** What the table in routes.ts says of each route. */
import type { z } from 'zod'

import type { WireErrorCode } from './errors.ts'

/**
 * Who may call a route.
 * - `public`: anyone, without any limit but the listener's
 * - `anyone`: anyone, within the request rate of the client or address
 * - `client`: a bearer token, or open mode
 * - `uploader`: `client`, and the client that began this upload
 * - `reader`: any client with the unguessable id (and a token, if the operator requires it)
 * - `owner`: the client that made it, or the holder of its owner secret
 */
export type Access = 'public' | 'anyone' | 'client' | 'uploader' | 'reader' | 'owner'

export interface RouteResponse {
  readonly status: number
  readonly description: string
  readonly json?: z.ZodType
  /** A body of opaque bytes. */
  readonly bytes?: boolean
  /** Response headers worth naming. */
  readonly headers?: readonly string[]
}

export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  /** `{name}` stands for one path segment. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** Query parameters; all optional. */
  readonly query?: z.ZodObject
  readonly json?: z.ZodType
  /** The JSON body is deprecated: what `streams` names takes its place. */
  readonly jsonDeprecated?: boolean
  /** Content types of a body that is streamed, never parsed as JSON. */
  readonly streams?: readonly string[]
  /** Request headers worth naming. */
  readonly headers?: readonly string[]
  readonly responses: readonly RouteResponse[]
  /** Codes that this route may return, besides those of every route. */
  readonly errors: readonly WireErrorCode[]
}
