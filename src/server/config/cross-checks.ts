/**
 * Rules between settings. Each names the key to change and the keys that it reads; a rule whose keys are invalid is
 * skipped.
 */
import { createHash, createPublicKey } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'

import type { JwtConfig, ServerConfig } from './config-schema.ts'
import { CHUNK_BYTES } from './schema-units.ts'

export interface CrossProblem {
  readonly key: string
  readonly message: string
  readonly reads: readonly string[]
}

export function crossChecks(config: ServerConfig): readonly CrossProblem[] {
  return [
    ...transferChecks(config),
    ...storeChecks(config),
    ...listenerChecks(config),
    ...tierChecks(config),
    ...tokenChecks(config),
    ...jwtChecks(config),
  ]
}

function problem(key: string, message: string, ...reads: string[]): CrossProblem {
  return { key, message, reads: [key, ...reads] }
}

function* transferChecks({ transfer }: ServerConfig): Generator<CrossProblem> {
  if (transfer.partBytes % CHUNK_BYTES !== 0) {
    yield problem('transfer.partBytes', 'must be a multiple of 256KiB, so that parts hold whole chunks')
  }
}

function* storeChecks({ storage, records, limits, transfer, workers }: ServerConfig): Generator<CrossProblem> {
  const { s3 } = storage
  if (storage.kind === 's3' && s3 === null) {
    yield problem('storage.s3', 'is needed by storage.kind s3: endpoint and bucket', 'storage.kind')
  }
  if (s3 !== null && (s3.accessKeyId === null) !== (s3.secretAccessKey === null)) {
    const [missing, given] =
      s3.accessKeyId === null ? ['accessKeyId', 'secretAccessKey'] : ['secretAccessKey', 'accessKeyId']
    yield problem(`storage.s3.${missing}`, `is needed beside ${given}`, `storage.s3.${given}`)
  }
  if (s3 !== null && s3.memory < transfer.partBytes) {
    yield problem('storage.s3.memory', 'must hold at least one part', 'transfer.partBytes')
  }
  if (storage.transfer === 'direct' && storage.kind !== 's3') {
    yield problem('storage.transfer', 'direct needs storage.kind s3', 'storage.kind')
  }
  if (storage.accelerate !== 'off' && storage.kind !== 'files') {
    yield problem('storage.accelerate', 'x-accel-redirect needs storage.kind files', 'storage.kind')
  }
  if (records.kind === 'postgres' && records.postgres === null) {
    yield problem('records.postgres', 'is needed by records.kind postgres: url', 'records.kind')
  }
  if (limits.shared === 'valkey' && limits.valkey === null) {
    yield problem('limits.valkey', 'is needed by limits.shared valkey: url', 'limits.shared')
  }
  if (workers > 1 && limits.shared !== 'valkey') {
    yield problem(
      'workers',
      'more than one needs limits.shared valkey, else each would count for itself',
      'limits.shared',
    )
  }
}

/** True for a host that only this machine can connect to. */
export function isLoopbackHost(host: string): boolean {
  const plain = host.toLowerCase()
  return (
    plain === 'localhost' || (isIPv4(plain) && plain.startsWith('127.')) || (isIPv6(plain) && isLoopbackIpv6(plain))
  )
}

function isLoopbackIpv6(address: string): boolean {
  return new URL(`http://[${address}]`).hostname === '[::1]'
}

function* listenerChecks({ listen, admin, access }: ServerConfig): Generator<CrossProblem> {
  if (access.openMode === 'loopback' && !isLoopbackHost(listen.host)) {
    yield problem(
      'access.openMode',
      'loopback needs listen.host to be a loopback address; choose off (tokens only) or everywhere (anyone may store)',
      'listen.host',
    )
  }
  const proxied = proxySettings(listen)
  if (access.openMode === 'loopback' && proxied.length > 0) {
    yield problem(
      'access.openMode',
      `loopback takes no request through a proxy, so it cannot stand beside ${proxied.join(' and ')}; choose off (tokens only) or everywhere (anyone may store)`,
      ...proxied,
    )
  }
  if (admin.enabled && admin.port !== null && admin.port !== 0 && admin.port === listen.port) {
    yield problem('admin.port', 'must differ from listen.port', 'listen.port')
  }
}

/** The settings that imply a proxy in front of the server. */
function proxySettings({ publicUrl, trustedProxies }: ServerConfig['listen']): string[] {
  return [
    ...(publicUrl === null ? [] : ['listen.publicUrl']),
    ...(trustedProxies.length === 0 ? [] : ['listen.trustedProxies']),
  ]
}

function* tierChecks({ tiers, transfer, access }: ServerConfig): Generator<CrossProblem> {
  for (const [name, tier] of Object.entries(tiers)) {
    const key = `tiers.${name}`
    if (tier.defaultTtlSeconds > tier.maxTtlSeconds) {
      yield problem(`${key}.defaultTtl`, 'must not be longer than maxTtl of the same tier', `${key}.maxTtl`)
    }
    for (const rate of ['uploadBytesPerSecond', 'downloadBytesPerSecond'] as const) {
      if (tier[rate] > 0 && tier[rate] < transfer.minimumBytesPerSecond) {
        const message =
          'must be 0 or at least transfer.minimumBytesPerSecond, else every transfer would be cut as too slow'
        yield problem(`${key}.${rate}`, message, 'transfer.minimumBytesPerSecond')
      }
    }
  }
  if (!Object.hasOwn(tiers, access.openTier)) {
    yield problem('access.openTier', `names no tier; there are ${Object.keys(tiers).join(', ')}`, 'tiers')
  }
}

const GUESSABLE = ['', 'token', 'secret', 'password', 'changeme', 'change-me', 'test', 'admin', 'sealift', 'example']
const GUESSABLE_HASHES = new Set(GUESSABLE.map(word => createHash('sha256').update(word).digest('hex')))

function* tokenChecks({ access, tiers }: ServerConfig): Generator<CrossProblem> {
  const seen = new Set<string>()
  for (const [index, token] of access.tokens.entries()) {
    const key = `access.tokens[${index}]`
    if (!Object.hasOwn(tiers, token.tier)) {
      yield problem(`${key}.tier`, `names no tier; there are ${Object.keys(tiers).join(', ')}`, 'tiers')
    }
    if (seen.has(token.sha256)) yield problem(`${key}.sha256`, 'is the same token as an earlier one')
    if (GUESSABLE_HASHES.has(token.sha256) || /^(.)\1*$/.test(token.sha256)) {
      yield problem(`${key}.sha256`, 'belongs to a token that anyone can guess; make one with `sealift config token`')
    }
    seen.add(token.sha256)
  }
}

const MIN_SECRET_BYTES = 32

function* jwtChecks({ access }: ServerConfig): Generator<CrossProblem> {
  const { jwt } = access
  if (jwt === null) return
  const sources = (['secret', 'publicKey', 'jwks', 'jwksUrl'] as const).filter(name => jwt[name] !== null)
  const keys = ['access.jwt.secret', 'access.jwt.publicKey', 'access.jwt.jwks', 'access.jwt.jwksUrl']
  if (sources.length !== 1) {
    const found = sources.length === 0 ? 'none is set' : `${sources.join(' and ')} are set`
    yield problem('access.jwt', `needs exactly one of secret, publicKey, jwks and jwksUrl, but ${found}`, ...keys)
  }
  yield* jwtAlgorithmChecks(jwt)
  yield* jwtKeyChecks(jwt)
}

/** A public key must never be usable as an HMAC secret, so the two families are not mixed. */
function* jwtAlgorithmChecks(jwt: JwtConfig): Generator<CrossProblem> {
  const key = 'access.jwt.algorithms'
  if (jwt.algorithms.length === 0) yield problem(key, 'must name at least one algorithm')
  if (jwt.secret !== null && jwt.algorithms.some(name => name !== 'HS256')) {
    yield problem(key, 'must be [HS256] with a secret', 'access.jwt.secret')
  }
  if (jwt.secret === null && jwt.algorithms.includes('HS256')) {
    yield problem(key, 'may name HS256 only with a secret', 'access.jwt.secret')
  }
}

function* jwtKeyChecks(jwt: JwtConfig): Generator<CrossProblem> {
  if (jwt.secret !== null && Buffer.byteLength(jwt.secret) < MIN_SECRET_BYTES) {
    yield problem('access.jwt.secret', `must be at least ${MIN_SECRET_BYTES} bytes long`)
  } else if (jwt.secret !== null && looksLikeADefault(jwt.secret)) {
    yield problem('access.jwt.secret', 'looks like an example; make one with `openssl rand -base64 32`')
  }
  if (jwt.publicKey !== null && !isPublicKey(jwt.publicKey)) {
    yield problem('access.jwt.publicKey', 'cannot be read as a public key')
  }
  if (jwt.jwks?.keys.some(key => key.kty === 'oct' || Object.hasOwn(key, 'd'))) {
    yield problem('access.jwt.jwks', 'must hold public keys only')
  }
  if (jwt.jwksUrl !== null && !isSafeUrl(new URL(jwt.jwksUrl))) {
    yield problem(
      'access.jwt.jwksUrl',
      'must be https, except on loopback: a changed response could let anyone sign tokens',
    )
  }
}

function isPublicKey(pem: string): boolean {
  try {
    createPublicKey(pem)
    return true
  } catch {
    return false
  }
}

function isSafeUrl(url: URL): boolean {
  return url.protocol === 'https:' || isLoopbackHost(url.hostname.replaceAll(/[[\]]/g, ''))
}

function looksLikeADefault(secret: string): boolean {
  const plain = secret.toLowerCase()
  const words = ['changeme', 'change-me', 'change_me', 'replace', 'example', 'default', 'password', 'your-', 'insecure']
  return new Set(plain).size < 10 || words.some(word => plain.includes(word))
}

/** Risks of a valid configuration. */
export function configWarnings(config: ServerConfig): readonly string[] {
  const { access, listen, admin } = config
  const warnings: string[] = []
  if (access.openMode === 'everywhere') {
    warnings.push('access.openMode is everywhere: anyone who reaches this server may store files on it')
  }
  if (access.openMode === 'off' && access.tokens.length === 0 && access.jwt === null) {
    warnings.push('access.openMode is off and there are no tokens: no client can store anything')
  }
  if (listen.publicUrl !== null && listen.trustedProxies.length === 0) {
    warnings.push(
      'listen.publicUrl is set but listen.trustedProxies is empty: behind a proxy all clients count as one address',
    )
  }
  if (admin.enabled && ['0.0.0.0', '::'].includes(admin.host)) {
    warnings.push('admin.host accepts connections from anywhere: anyone who reaches it can read the metrics')
  }
  return warnings
}
