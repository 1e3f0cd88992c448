import { isDeepStrictEqual } from 'node:util'

import { BoundedMap } from '../../common/bounded-map.ts'
import type { JwtConfig, ServerConfig } from '../config/schema.ts'
import { createJwtVerifier, type JwtVerifier, type SignedClaims } from './jwt-verifier.ts'

/** How long a verified token is believed without looking again, so that a key that is taken back is noticed. */
const BELIEVE_MS = 60_000
const MAX_REMEMBERED = 10_000

interface Remembered {
  readonly claims: SignedClaims
  readonly until: number
}

/** Verifies signed tokens by the configuration in force, and remembers those it has seen lately. */
export class SignedTokens {
  #config: JwtConfig | null = null
  #verifier: JwtVerifier | null = null
  readonly #seen = new BoundedMap<string, Remembered>(MAX_REMEMBERED)

  /**
   * @param hash of the token
   * @param admit asked before its signature is verified
   * @returns `null` when it is not to be believed, or signed tokens are not taken
   * @throws unavailable; what `admit` does
   */
  async find(
    config: ServerConfig,
    { token, hash }: { token: string; hash: string },
    at: number,
    admit: () => void | Promise<void> = () => undefined,
  ): Promise<SignedClaims | null> {
    const verifier = this.#verifierFor(config)
    const seen = this.#seen.get(hash)
    if (seen && at < seen.until) return seen.claims
    this.#seen.delete(hash)
    if (verifier) await admit()
    const claims = (await verifier?.verify(token, at)) ?? null
    if (claims && verifier === this.#verifier) {
      this.#seen.set(hash, { claims, until: Math.min(claims.expiresAt, at + BELIEVE_MS) })
    }
    return claims
  }

  #verifierFor({ access }: ServerConfig): JwtVerifier | null {
    if (access.jwt === this.#config || isDeepStrictEqual(access.jwt, this.#config)) return this.#verifier
    this.#seen.clear()
    this.#config = access.jwt
    this.#verifier = access.jwt && createJwtVerifier(access.jwt)
    return this.#verifier
  }
}
