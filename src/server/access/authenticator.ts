/**
 * Who sends a request. A token that is sent must be valid, whatever else would have let the request in; one message for
 * every way in which it is not. Tokens are taken from the Authorization header alone, never from the URL.
 *
 * A signed token is held against its expiry when a request begins; what runs by then may run to its end. A token that
 * is revoked (gone from the configuration, or no longer verified by it) ends what runs: see sessions.ts.
 */
import { SealiftError } from '../../protocol/errors.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { isLoopbackHost } from '../config/cross-checks.ts'
import type { ServerConfig } from '../config/schema.ts'
import { knownTier } from '../limits/tiers.ts'
import type { Client, Credential } from './access.ts'
import {
  clientAddress,
  clientNetwork,
  isForwarded,
  isLoopbackAddress,
  namesThisMachine,
  normaliseAddress,
  type RequestHeaders,
} from './client-address.ts'
import type { ProxyTrust } from './proxy-trust.ts'
import { SignedTokens } from './signed-tokens.ts'
import { bearerToken, createTokenIndex, hashToken, type FindToken } from './tokens.ts'

export interface RequestFacts {
  /** The other end of the connection. */
  readonly peerAddress: string | undefined
  /** All request headers, as Node gives them. */
  readonly headers: RequestHeaders
  /** An id or secret that nobody can guess lets the request in without a token, also where open mode is off. */
  readonly capability?: boolean
}

export interface Authenticator {
  /**
   * Answers at once who sends no token, and rejects what it refuses.
   * @throws unauthorized; unavailable when signed tokens cannot be verified right now
   */
  authenticate(facts: RequestFacts): Client | Promise<Client>
  /** What anonymous requests of this peer are counted under. */
  addressOf(facts: Pick<RequestFacts, 'peerAddress' | 'headers'>): string
}

export interface AuthenticatorOptions {
  readonly live: LiveConfig
  readonly clock: Clock
  readonly proxies: ProxyTrust
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const deps: Deps = { ...options, findToken: createTokenIndex(options.live), signed: new SignedTokens() }
  return {
    authenticate(facts) {
      const { authorization } = facts.headers
      return authorization === undefined ? (anonymousClient(deps, facts) ?? refuse()) : tokenClient(deps, authorization)
    },
    addressOf: facts => networkOf(deps, facts),
  }
}

interface Deps extends AuthenticatorOptions {
  readonly findToken: FindToken
  readonly signed: SignedTokens
}

async function tokenClient(deps: Deps, authorization: string | readonly string[]): Promise<Client> {
  const token = typeof authorization === 'string' ? bearerToken(authorization) : null
  if (token === null) throw unauthorized()
  const config = deps.live.current
  const hash = hashToken(token)
  return staticClient(deps, config, hash) ?? (await signedClient(deps, config, { token, hash })) ?? refuse()
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
  const credential: Credential = {
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

async function signedClient({ signed, clock }: Deps, config: ServerConfig, sent: SentToken): Promise<Client | null> {
  const beganAt = clock()
  const claims = await signed.find(config, sent, beganAt)
  if (claims === null) return null
  const { subject, device, tier } = claims
  const credential: Credential = {
    fingerprint: `signed ${sent.hash}`,
    takenBy: config,
    async holdsIn(next) {
      // Held against the time at which it was used, not now: expiry ends no transfer.
      const now = await signed.find(next, sent, beganAt)
      return now !== null && now.subject === subject && now.device === device
    },
  }
  return { clientId: `subject:${subject}`, anonymous: false, tier: knownTier(config, tier), device, credential }
}

function anonymousClient(deps: Deps, facts: RequestFacts): Client | null {
  const config = deps.live.current
  const asCapability = facts.capability === true
  if (!asCapability && !isOpenTo(config, facts)) return null
  const credential = new OpenCredential(config, facts)
  const tier = knownTier(config, config.access.openTier)
  return { clientId: `address:${networkOf(deps, facts)}`, anonymous: true, tier, device: null, credential }
}

/** No token at all. Looked at only where a transfer is long enough to be ended. */
class OpenCredential implements Credential {
  readonly takenBy: ServerConfig
  readonly #facts: RequestFacts

  constructor(takenBy: ServerConfig, facts: RequestFacts) {
    this.takenBy = takenBy
    this.#facts = facts
  }

  get fingerprint(): string {
    return `open ${this.#facts.capability === true} ${isLocal(this.#facts)}`
  }

  async holdsIn(next: ServerConfig): Promise<boolean> {
    return this.#facts.capability === true ? next.access.downloads === 'capability' : isOpenTo(next, this.#facts)
  }
}

function isOpenTo({ access, listen }: ServerConfig, facts: RequestFacts): boolean {
  if (access.openMode === 'off') return false
  return access.openMode === 'everywhere' || (isLoopbackHost(listen.host) && isLocal(facts))
}

/**
 * From this machine, and neither through a proxy on it that lets the whole world in, nor by a page of the world that a
 * browser on this machine shows.
 */
function isLocal({ peerAddress, headers }: RequestFacts): boolean {
  const peer = normaliseAddress(peerAddress)
  return peer !== null && isLoopbackAddress(peer) && !isForwarded(headers) && namesThisMachine(headers)
}

function networkOf({ proxies }: Deps, { peerAddress, headers }: Pick<RequestFacts, 'peerAddress' | 'headers'>): string {
  const address = clientAddress(peerAddress, headers, proxies)
  return address === null ? 'unknown' : clientNetwork(address)
}
