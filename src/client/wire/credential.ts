import { SealiftError } from '../../protocol/errors.ts'

/** A token, and the base URL that it may be sent to. */
export interface SentToken {
  readonly token: string
  /** Instead of the base URL of the server: the same server by a more exact address. */
  readonly base?: string
}

export interface ServerCredential {
  /** What the next request carries; `null`: no token. */
  current(): SentToken | null | Promise<SentToken | null>
  /**
   * What to try once after the server refused `refused` with 401: another token, or `null` for none.
   * Absent: the refusal stands.
   */
  instead?(refused: SentToken): Promise<SentToken | null>
}

/** A token that was given. */
export function tokenCredential(token: string | null): ServerCredential {
  const sent = token === null ? null : { token }
  return { current: () => sent }
}

/** A header value that every transport and server accepts (RFC 9110, 5.5): visible ASCII, and blanks inside. */
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?$/
/** A token, and every other secret of ours, has no blank inside either. */
const CREDENTIAL = /^[\x21-\x7e]+$/

/**
 * A secret that travels in a header, without the white space around it that copying and files bring along.
 * @param what names it in the message, which never holds it
 * @throws invalid_request
 */
export function credential(what: string, value: string): string {
  const trimmed = value.trim()
  if (CREDENTIAL.test(trimmed)) return trimmed
  const why = trimmed === '' ? 'is empty' : 'holds a blank or a character that no HTTP header takes'
  throw new SealiftError('invalid_request', `${what} ${why}. Copy it anew, in one line`)
}

/** @throws invalid_request when a transport would refuse it, and so make it look like a broken connection */
export function assertHeaderValue(name: string, value: string): void {
  if (HEADER_VALUE.test(value)) return
  throw new SealiftError('invalid_request', `The value for the header ${name} holds what no HTTP header takes`)
}
