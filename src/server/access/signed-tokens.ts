import { isDeepStrictEqual } from 'node:util'
import { createPublicKey } from 'node:crypto'

import {
  createLocalJWKSet,
  createRemoteJWKSet,
  customFetch,
  errors,
  type FetchImplementation,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
} from 'jose'

import { BoundedMap } from '../../common/bounded-map.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { JwtConfig, ServerConfig } from '../config/config-schema.ts'

/** How long a verified token is accepted without verifying it again. Bounds the use of a revoked key. */
const BELIEVE_MS = 60_000
const MAX_REMEMBERED = 10_000

interface Remembered {
  readonly claims: SignedClaims
  readonly until: number
}

/** Verifies signed tokens by the current configuration and caches the results. */
export class SignedTokens {
  #config: JwtConfig | null = null
  #verifier: JwtVerifier | null = null
  readonly #seen = new BoundedMap<string, Remembered>(MAX_REMEMBERED)

  /**
   * @param hash of the token
   * @param admit called before a signature is verified; may throw to refuse it
   * @returns `null` for an invalid token, or where signed tokens are not configured
   * @throws unavailable; what `admit` throws
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

/** The claims of a verified token. */
export interface SignedClaims {
  readonly subject: string
  /** `null`: it names no tier. */
  readonly tier: string | null
  readonly device: string | null
  /** Wall-clock ms, the leeway included. */
  readonly expiresAt: number
}

export interface JwtVerifier {
  /**
   * @param at the wall-clock ms for `exp` and `nbf`
   * @returns `null` for an invalid token, whatever the reason
   * @throws unavailable when the keys cannot be fetched
   */
  verify(token: string, at: number): Promise<SignedClaims | null>
}

export function createJwtVerifier(config: JwtConfig): JwtVerifier {
  const key = keyOf(config)
  return {
    async verify(token, at) {
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: [...config.algorithms],
          requiredClaims: ['exp', 'sub'],
          clockTolerance: config.leewayMs / 1000,
          currentDate: new Date(at),
          ...(config.issuer === null ? {} : { issuer: config.issuer }),
          ...(config.audience === null ? {} : { audience: config.audience }),
        })
        return claimsOf(payload, config)
      } catch (error) {
        if (isRefusal(error)) return null
        throw new SealiftError('unavailable', 'The keys that tokens are signed with cannot be fetched', {
          cause: error,
        })
      }
    },
  }
}

function keyOf(config: JwtConfig): JWTVerifyGetKey {
  if (config.jwksUrl !== null) {
    return createRemoteJWKSet(new URL(config.jwksUrl), {
      cacheMaxAge: config.jwksCacheMs,
      timeoutDuration: config.jwksTimeoutMs,
      [customFetch]: fetchSeldom(),
    })
  }
  if (config.jwks !== null) return createLocalJWKSet({ keys: config.jwks.keys.map(key => ({ ...key })) })
  if (config.publicKey !== null) {
    const key = createPublicKey(config.publicKey)
    return () => Promise.resolve(key)
  }
  const secret = new TextEncoder().encode(config.secret ?? '')
  return () => Promise.resolve(secret)
}

/** The least time between two failing fetches of a key set. */
const FETCH_APART_MS = 1000

/** Limits fetches while they fail: else every forged token would cause a request to a key server in trouble. */
function fetchSeldom(): FetchImplementation {
  let notBeforeMs = -Infinity
  return async (url, options) => {
    if (performance.now() < notBeforeMs)
      throw new Error(`The last fetch of the key set failed less than ${FETCH_APART_MS} ms ago`)
    try {
      return await fetch(url, options)
    } finally {
      notBeforeMs = performance.now() + FETCH_APART_MS
    }
  }
}

/** Errors of the token; the others are errors of this server or of the key server. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return false
  const ours = [errors.JWKSTimeout.code, errors.JWKSInvalid.code, errors.JOSEError.code]
  return !ours.includes(error.code)
}

const TEXT_CLAIM = /^[^\p{Cc}]{1,200}$/u

function claimsOf(payload: JWTPayload, config: JwtConfig): SignedClaims | null {
  const { sub, exp } = payload
  if (typeof sub !== 'string' || !TEXT_CLAIM.test(sub) || exp === undefined) return null
  return {
    subject: sub,
    tier: textClaim(payload, config.tierClaim),
    device: textClaim(payload, config.deviceClaim),
    expiresAt: exp * 1000 + config.leewayMs,
  }
}

function textClaim(payload: JWTPayload, name: string): string | null {
  const value: unknown = Object.hasOwn(payload, name) ? payload[name] : undefined
  return typeof value === 'string' && TEXT_CLAIM.test(value) ? value : null
}
