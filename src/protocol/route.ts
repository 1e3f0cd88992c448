/** What the table in routes.ts says of each route. */
import type { z } from 'zod'

import type { WireErrorCode } from './errors.ts'

/**
 * Who may call a route.
 * - `public`: anyone, without any limit but the listener's
 * - `anyone`: anyone, within the request rate of the client or address
 * - `client`: a bearer token, or open mode
 * - `uploader`: `client`, and the one who began this upload
 * - `reader`: whoever knows the unguessable id (and, where the operator wants it, has a token)
 * - `owner`: the client that made it, or the holder of its owner secret
 */
export type Access = 'public' | 'anyone' | 'client' | 'uploader' | 'reader' | 'owner'

export interface RouteAnswer {
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
  readonly answers: readonly RouteAnswer[]
  /** Codes this route may answer with, besides those every route may. */
  readonly errors: readonly WireErrorCode[]
}
