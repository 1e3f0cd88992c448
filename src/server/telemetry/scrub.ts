import { isSealiftError } from '../../protocol/errors.ts'

/** Takes out of a text what may grant access or tell what people send: the last net, not the first. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // Ids of media, parcels and uploads: whoever knows one may read.
  [/(?<![a-z2-7])[a-z2-7]{26}(?![a-z2-7])/g, '(id)'],
  [/\b(Bearer|Basic)\s+\S+/gi, '$1 (hidden)'],
  // Queries and fragments of URLs: a fragment holds the key of a manifest.
  [/((?:https?:\/\/|\/)[^\s?#"']*[?#])[^\s"')]+/gi, '$1(hidden)'],
  [/([?&][\w-]+=)[^\s"'&)]+/g, '$1(hidden)'],
  // Signed tokens, and long random texts such as keys and secrets.
  [/\beyJ[\w-]*\.[\w-]+\.[\w-]*/g, '(token)'],
  [/(?=[\w-]*\d)[A-Za-z0-9_-]{32,}=*/g, '(hidden)'],
]

export function scrub(text: string): string {
  return PATTERNS.reduce((rest, [pattern, instead]) => rest.replaceAll(pattern, instead), text)
}

const MAX_CAUSES = 4

export interface ToldError {
  /** Its class. */
  readonly type: string
  readonly code: string | null
  readonly message: string
  readonly stack?: string
  readonly cause?: ToldError
}

/** An error as it may be logged, with its causes; stacks only of those that are bugs. */
export function describeError(error: unknown, options: { readonly stack: boolean }, depth = 0): ToldError {
  if (!(error instanceof Error)) return { type: typeof error, code: null, message: 'not an Error' }
  const { cause } = error
  return {
    type: error.name,
    code: 'code' in error && typeof error.code === 'string' ? scrub(error.code) : null,
    message: scrub(error.message),
    ...(options.stack && error.stack ? { stack: scrub(error.stack) } : {}),
    ...(cause instanceof Error && depth < MAX_CAUSES ? { cause: describeError(cause, options, depth + 1) } : {}),
  }
}

/** Not one of our own refusals: something that must not happen, and that is told with its stack. */
export function isBug(error: unknown): boolean {
  return !isSealiftError(error) || error.code === 'internal'
}
