/** Turns errors into text for people: what happened, and what to do about it. */
import { systemReason } from '../files/system-failure.ts'
import { isSealiftError, type SealiftError, type SealiftErrorCode } from '../protocol/errors.ts'
import { formatSize } from '../protocol/units.ts'
import { printable } from './terminal/text.ts'
import { OutputClosed, UsageError } from './exit-codes.ts'

export interface Explanation {
  /** Stable, for programs: a code of `SealiftError`, `usage`, or `unexpected`. */
  readonly code: SealiftErrorCode | 'usage' | 'output_closed' | 'unexpected'
  /** What happened. */
  readonly message: string
  /** What to do; absent when the message says it all. */
  readonly hint?: string
  /** Facts of a refusal by a limit. */
  readonly limit?: string
  readonly value?: number
  readonly remaining?: number
  readonly retryAfterSeconds?: number
}

const HINTS: Partial<Record<SealiftErrorCode, string>> = {
  network: 'Check that the server runs and that its address is right; `sealift doctor` looks closer.',
  untrusted_server:
    'Ask the operator of the server for a valid certificate. NODE_EXTRA_CA_CERTS=FILE adds an authority of your own.',
  unauthorized:
    'Give a token with --token or SEALIFT_TOKEN. A server on this machine takes the user that runs it without one, if XDG_STATE_HOME is the same for both.',
  forbidden: 'The server does not allow you to do this; ask its operator.',
  not_found: 'Check that the link is complete. It may also have been deleted long ago.',
  gone: 'It has expired or its sender deleted it; ask for a new link.',
  downloads_exhausted: 'It could be downloaded only so many times; ask its sender for a new link.',
  damaged_media:
    'Nothing of it was stored. The link may be incomplete or wrong, or the bytes were altered in transit or on the server; ask its sender to send it again.',
  damaged:
    "The server lost some of its bytes: ask its sender to send it again, or the server's operator to restore a backup.",
  unsupported_version: 'Install a newer version of Sealift.',
  invalid_link: 'Put the whole link between quotes: the part behind # is its key.',
  sender_gone: 'Ask its sender to send it again.',
  storage_full: "The server's disk is full: ask its operator, or try again later.",
  unavailable: 'Try again in a few seconds.',
  shutting_down: 'Try again in a few seconds.',
  rate_limited: 'Try again later, or with a smaller --parallel.',
  too_many_uploads: 'Try again later, or with a smaller --parallel.',
  too_many_downloads: 'Try again later, or with a smaller --parallel.',
  too_many_pending: 'Too many unfinished sends; the server deletes them after transfer.uploadExpiry.',
  quota_exceeded: 'Delete something with `sealift rm LINK`, or ask the operator of the server for a larger quota.',
  file_changed: 'Send it again once it no longer changes.',
  upload_in_progress: 'Its sender has not finished yet; try again later.',
}

const PROXY_413 =
  'That is not a response of Sealift: a proxy before the server limits the size of a request. Its operator raises ' +
  'that limit to the size of a part and more (nginx: client_max_body_size 0), or lowers transfer.partBytes.'

/** Explains any error. Never holds a key, a token or a stack. */
export function explain(error: unknown): Explanation {
  if (error instanceof UsageError) return { code: 'usage', message: error.message }
  if (error instanceof OutputClosed)
    return { code: 'output_closed', message: 'Stopped, because the output was closed.' }
  if (isSealiftError(error)) return explainSealiftError(error)
  const local = explainSystemError(error)
  if (local) return local
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'unexpected',
    message: `Something unexpected went wrong: ${scrub(message)}`,
    hint: 'Run it again with SEALIFT_DEBUG=1 to see where; that is worth a report.',
  }
}

function explainSealiftError(error: SealiftError): Explanation {
  const { limit, value, remaining, retryAfterSeconds, path, item } = error.context
  // Messages may end up in logs, so they name no file; this output goes to the user.
  const about = path ?? item
  const place = typeof about === 'string' ? `${printable(about)}: ` : ''
  const hint = hintFor(error)
  return {
    code: error.code,
    message: place + scrub(error.message),
    ...(hint === undefined ? {} : { hint }),
    ...(limit === undefined ? {} : { limit }),
    ...(value === undefined ? {} : { value }),
    ...(remaining === undefined ? {} : { remaining }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  }
}

function hintFor(error: SealiftError): string | undefined {
  const { limit, value } = error.context
  if (error.code === 'too_large' && (limit === 'items' || limit === 'manifestBytes'))
    return 'Send them with several links, or as one archive: tar c FOLDER | sealift send - --name FOLDER.tar'
  if (error.code === 'too_large' && limit === undefined && error.context['status'] === 413) return PROXY_413
  if (error.code === 'too_large' && value !== undefined)
    return `That is ${formatSize(value)}${limit ? ` (the limit ${limit})` : ''}; ask the operator of the server for more.`
  if (error.code === 'quota_exceeded' && value !== undefined)
    return `The quota is ${formatSize(value)}${leftOf(error)}. ${HINTS.quota_exceeded}`
  if (error.context['ownedBy'] !== undefined)
    return 'Give the link of the server that it was sent to; for a secret of an earlier version also --server URL.'
  // Records of another version stay so, however often the command is repeated.
  const isOtherSchema = error.context['missing'] !== undefined || error.context['unknown'] !== undefined
  if (error.code === 'unavailable' && isOtherSchema) return undefined
  return HINTS[error.code]
}

function leftOf({ context: { remaining } }: SealiftError): string {
  return remaining === undefined ? '' : `, of which ${formatSize(remaining)} are left`
}

interface SystemError extends Error {
  readonly code: string
  readonly path?: string
  readonly dest?: string
}

function explainSystemError(error: unknown): Explanation | null {
  if (!isSystemError(error)) return null
  const reason = systemReason(error.code)
  if (reason === null) return null
  const path = error.dest ?? error.path
  // Writing to an open file fails without a path.
  const message =
    path === undefined ? `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.` : `${printable(path)}: ${reason}.`
  return { code: 'local_file', message }
}

function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
}

const LINK_KEY = /#[A-Za-z0-9_-]{20,}/g
const BEARER = /(bearer\s+)[^\s"']+/gi

/** Takes keys of links and bearer tokens out of a text that is about to be shown. */
export function scrub(text: string): string {
  return text.replaceAll(LINK_KEY, '#…').replaceAll(BEARER, '$1…')
}

/** The stack of an error and of its causes, for `SEALIFT_DEBUG`. */
export function stackOf(error: unknown): string {
  if (!(error instanceof Error)) return scrub(String(error))
  const cause = error.cause === undefined ? '' : `\ncaused by ${stackOf(error.cause)}`
  return scrub(error.stack ?? error.message) + cause
}
