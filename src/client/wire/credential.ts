/** What proves to one server who sends a request. */

/** A token, and the base URL that it may be sent to. */
export interface SentToken {
  readonly token: string
  /** Instead of the base URL of the server: the same server by a more exact address. */
  readonly base?: string
}

export interface Credential {
  /** What the next request carries; `null`: no token. */
  current(): SentToken | null | Promise<SentToken | null>
  /**
   * What to try once after the server refused `refused` with 401: another token, or `null` for none.
   * Absent: the refusal stands.
   */
  instead?(refused: SentToken): Promise<SentToken | null>
}

/** A token that was given. */
export function fixedCredential(token: string | null): Credential {
  const sent = token === null ? null : { token }
  return { current: () => sent }
}
