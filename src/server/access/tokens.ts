/** Static bearer tokens: random text of which only the SHA-256 is stored. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig, StaticToken } from '../config/config-schema.ts'

/** The form of a token in the configuration: its SHA-256 as lower-case hex. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

/** A new token of 256 random bits. By the prefix, secret scanners find tokens that were published by mistake. */
export function newToken(random: (byteCount: number) => Uint8Array = randomBytes): string {
  return `sealift_${Buffer.from(random(32)).toString('base64url')}`
}

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,8192}=*)$/i

/** The token of an `Authorization` header (RFC 6750); `null` for any other form. */
export function bearerToken(authorization: string): string | null {
  return BEARER.exec(authorization)?.[1] ?? null
}

export type FindToken = (config: ServerConfig, hash: string) => StaticToken | null

/** Finds tokens by their hash, in constant time. */
export function createTokenIndex(live: LiveConfig): FindToken {
  let tokens: readonly StaticToken[] | null = null
  let byHash: ReadonlyMap<string, StaticToken> = new Map()
  return (config, hash) => {
    if (config !== live.current) return findIn(indexOf(config.access.tokens), hash)
    if (tokens !== config.access.tokens) {
      byHash = indexOf(config.access.tokens)
      tokens = config.access.tokens
    }
    return findIn(byHash, hash)
  }
}

function indexOf(tokens: readonly StaticToken[]): ReadonlyMap<string, StaticToken> {
  return new Map(tokens.map(token => [token.sha256, token]))
}

function findIn(byHash: ReadonlyMap<string, StaticToken>, hash: string): StaticToken | null {
  const token = byHash.get(hash)
  return token && timingSafeEqual(Buffer.from(token.sha256, 'hex'), Buffer.from(hash, 'hex')) ? token : null
}
