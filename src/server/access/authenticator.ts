/**
 * Finds the client of a request. A token that is sent must be valid, even where the request needs none; every invalid
 * token gets the same message. Tokens are read from the Authorization header, never from the URL.
 *
 * The expiry of a signed token is checked when a request begins; a running transfer may outlive it. A revoked token
 * (removed from the configuration, or no longer verified by it) ends what runs under it: see sessions.ts.
 */
import { timingSafeEqual } from 'node:crypto'

import { SealiftError } from '../../protocol/errors.ts'
import type { Clock } from '../clock.ts'
import { isLoopbackHost } from '../config/cross-checks.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ServerConfig } from '../config/config-schema.ts'
import { type Client, type ClientCredential, knownTier } from './caller.ts'
import {
  clientAddress,
  clientNetwork,
  isForwarded,
  isLoopbackAddress,
  namesThisMachine,
  normaliseAddress,
  type ProxyTrust,
  type RequestHeaders,
} from './client-address.ts'
import { SignedTokens } from './signed-tokens.ts'
import { bearerToken, createTokenIndex, type FindToken, hashToken } from './tokens.ts'

export interface RequestFacts {
  /** The other end of the connection. */
  readonly peerAddress: string | undefined
  /** All request headers, as Node gives them. */
  readonly headers: RequestHeaders
  /** An unguessable id or secret admits the request without a token, also where open mode is off. */
  readonly capability?: boolean
}

export interface Authenticator {
  /**
   * Synchronous for a request without a token.
   * @throws unauthorized; rate_limited; unavailable when signed tokens cannot be verified right now
   */
  authenticate(facts: RequestFacts): Client | Promise<Client>
  /** The network that anonymous requests of this peer are counted under. */
  addressOf(facts: Pick<RequestFacts, 'peerAddress' | 'headers'>): string
}

export interface AuthenticatorOptions {
  readonly live: LiveConfig
  readonly clock: Clock
  readonly proxies: ProxyTrust
  /** SHA-256 (hex) of the token of this machine's own user, for the open mode `loopback`. */
  readonly localTokenSha256?: string | undefined
  /** Bounds the signatures that are verified for an IP address. Absent: no bound. */
  readonly wrongTokens?: { admitUnknown(address: string): void | Promise<void> } | undefined
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const deps: Deps = { ...options, findToken: createTokenIndex(options.live), signed: new SignedTokens() }
  return {
    authenticate(facts) {
      const { authorization } = facts.headers
      if (authorization === undefined) return openClient(deps, facts, false) ?? refuse()
      const token = typeof authorization === 'string' ? bearerToken(authorization) : null
      if (token === null) return refuse()
      const sent = { token, hash: hashToken(token) }
      return isLocalToken(deps, sent) ? (openClient(deps, facts, true) ?? refuse()) : tokenClient(deps, facts, sent)
    },
    addressOf: facts => networkOf(deps, facts),
  }
}

interface Deps extends AuthenticatorOptions {
  readonly findToken: FindToken
  readonly signed: SignedTokens
}

async function tokenClient(deps: Deps, facts: RequestFacts, sent: SentToken): Promise<Client> {
  const config = deps.live.current
  return staticClient(deps, config, sent.hash) ?? (await signedClient(deps, facts, sent)) ?? refuse()
}

function isLocalToken({ localTokenSha256 }: Deps, { hash }: SentToken): boolean {
  return (
    localTokenSha256 !== undefined && timingSafeEqual(Buffer.from(localTokenSha256, 'hex'), Buffer.from(hash, 'hex'))
  )
}

async function refuse(): Promise<never> {
  throw unauthorized()
}

function unauthorized(): SealiftError {
  return new SealiftError('unauthorized', 'Send a valid token in the Authorization header, as: Bearer TOKEN')
}

function staticClient({ findToken }: Deps, config: ServerConfig, hash: string): Client | null {
  const found = findToken(config, hash)
  if (found === null) return null
  const { subject, device, tier } = found
  const credential: ClientCredential = {
    fingerprint: `token ${hash}`,
    takenBy: config,
    async holdsIn(next) {
      const now = findToken(next, hash)
      return now !== null && now.subject === subject && now.device === device
    },
  }
  return { clientId: `subject:${subject}`, anonymous: false, tier: knownTier(config, tier), device, credential }
}

interface SentToken {
  readonly token: string
  readonly hash: string
}

async function signedClient(deps: Deps, facts: RequestFacts, sent: SentToken): Promise<Client | null> {
  const { signed, clock, live, wrongTokens } = deps
  const config = live.current
  const beganAt = clock()
  const admit = () => wrongTokens?.admitUnknown(networkOf(deps, facts))
  const claims = await signed.find(config, sent, beganAt, admit)
  if (claims === null) return null
  const { subject, device, tier } = claims
  const credential: ClientCredential = {
    fingerprint: `signed ${sent.hash}`,
    takenBy: config,
    async holdsIn(next) {
      // Checked for the time when the request began: expiry ends no transfer.
      const now = await signed.find(next, sent, beganAt)
      return now !== null && now.subject === subject && now.device === device
    },
  }
  return { clientId: `subject:${subject}`, anonymous: false, tier: knownTier(config, tier), device, credential }
}

/**
 * A client known by its IP address alone. The local token names no subject: it only admits to open mode `loopback`.
 */
function openClient(deps: Deps, facts: RequestFacts, hasLocalToken: boolean): Client | null {
  const config = deps.live.current
  const request = { ...facts, hasLocalToken }
  if (facts.capability !== true && !isOpenTo(config, request)) return null
  const credential = new OpenCredential(config, request)
  const tier = knownTier(config, config.access.openTier)
  return { clientId: `address:${networkOf(deps, facts)}`, anonymous: true, tier, device: null, credential }
}

interface OpenRequest extends RequestFacts {
  readonly hasLocalToken: boolean
}

/** Of a client without a token. Evaluated only for transfers that are long enough to be ended. */
class OpenCredential implements ClientCredential {
  readonly takenBy: ServerConfig
  readonly #request: OpenRequest

  constructor(takenBy: ServerConfig, request: OpenRequest) {
    this.takenBy = takenBy
    this.#request = request
  }

  get fingerprint(): string {
    return `open ${this.#request.capability === true} ${isLocal(this.#request)}`
  }

  async holdsIn(next: ServerConfig): Promise<boolean> {
    return this.#request.capability === true ? next.access.downloads === 'capability' : isOpenTo(next, this.#request)
  }
}

function isOpenTo({ access, listen }: ServerConfig, request: OpenRequest): boolean {
  if (access.openMode === 'off') return false
  return access.openMode === 'everywhere' || (isLoopbackHost(listen.host) && isLocal(request))
}

/**
 * Whether the user that runs this server sends the request. The token proves it, since only that user can read its
 * file. A loopback peer proves nothing: it may be a proxy, a tunnel, another user or a web page. The other conditions
 * limit the use of a leaked token.
 */
function isLocal({ peerAddress, headers, hasLocalToken }: OpenRequest): boolean {
  const peer = normaliseAddress(peerAddress)
  return hasLocalToken && peer !== null && isLoopbackAddress(peer) && !isForwarded(headers) && namesThisMachine(headers)
}

function networkOf({ proxies }: Deps, { peerAddress, headers }: Pick<RequestFacts, 'peerAddress' | 'headers'>): string {
  const address = clientAddress(peerAddress, headers, proxies)
  return address === null ? 'unknown' : clientNetwork(address)
}
