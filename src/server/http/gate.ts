/**
 * The one way in. Every route of the table passes here before its handler runs, in this order: rate limit of the
 * address, token, rate limit of the client, owner secret, encoding. Nothing is let through that is not named.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { HEADER, IDEMPOTENCY_KEY_PATTERN, OWNER_PATTERN } from '../../protocol/headers.ts'
import { type Access, type RouteName, ROUTES } from '../../protocol/routes.ts'
import type { Authenticator, RequestFacts } from '../access/authenticator.ts'
import { type Caller, type Client, type IdempotentCaller, type Tier, tierOf } from '../access/caller.ts'
import type { RequestHeaders } from '../access/client-address.ts'
import type { DeviceGate } from '../access/devices.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { type RateLimiter, type Take, whenKnown } from '../limits/limiter.ts'
import type { WrongTokens } from '../limits/wrong-tokens.ts'
import type { Exchange } from './exchange.ts'

/** Who sends a request, and what applies to them. */
export interface Identity {
  readonly client: Client
  readonly tier: Tier
}

export interface Identify {
  /**
   * `capability`: the caller may be anonymous even where open mode is off, since what it asks for is named by an
   * unguessable id or an owner secret. A token that is sent is always checked.
   * @throws unauthorized, rate_limited, too_many_devices
   */
  (req: IncomingMessage, options: { readonly capability: boolean }): Identity | Promise<Identity>
}

export interface GateOptions {
  readonly identify: Identify
  readonly rates: RateLimiter
  /** True when downloads take a token besides the id. */
  readonly readersNeedToken: () => boolean
}

export class Gate {
  readonly #options: GateOptions

  constructor(options: GateOptions) {
    this.#options = options
  }

  /** @throws unauthorized, rate_limited, invalid_request, unsupported_media_type, too_many_devices */
  admit(exchange: Exchange, route: Exclude<RouteName, PublicRoute>): Caller | Promise<Caller> {
    const { req } = exchange
    const ownerHash = ownerHashOf(req)
    const identified = this.#options.identify(req, { capability: this.#isCapability(route, ownerHash) })
    return whenKnown(identified, ({ client, tier }) => {
      exchange.clientId = client.clientId
      return whenKnown(this.#takeRequest(client, tier), () => {
        refuseEncodings(req)
        return { client, tier, ownerHash }
      })
    })
  }

  #isCapability(route: RouteName, ownerHash: string | null): boolean {
    const access: Access = ROUTES[route].access
    if (access === 'anyone') return true
    if (access === 'reader') return !this.#options.readersNeedToken()
    return access === 'owner' && ownerHash !== null
  }

  /** A turn of the event loop is spent only where the answer has to come from elsewhere. */
  #takeRequest({ clientId }: Client, { requestsPerSecond, requestBurst }: Tier): void | Promise<void> {
    const rate = { perSecond: requestsPerSecond, burst: requestBurst }
    const taking = this.#options.rates.take(`requests:${clientId}`, 1, rate)
    return whenKnown(taking, taken => assertTaken(taken, requestsPerSecond))
  }
}

function assertTaken(taken: Take, requestsPerSecond: number): void {
  if (taken.ok) return
  throw new SealiftError('rate_limited', `At most ${requestsPerSecond} requests a second; slow down`, {
    context: {
      limit: 'requestsPerSecond',
      value: requestsPerSecond,
      remaining: 0,
      retryAfterSeconds: taken.retryAfterMs / 1000,
    },
  })
}

/**
 * Routes beside the gate. A health check is never refused for a rate: a balancer that hears 429 takes the node away, and
 * many balancers share an address. So these two cost next to nothing: one fixed body, and one that is looked up for all
 * who ask within two seconds.
 */
export type PublicRoute = 'health' | 'ready'

function ownerHashOf(req: IncomingMessage): string | null {
  const secret = req.headers[HEADER.owner]
  if (secret === undefined) return null
  if (typeof secret === 'string' && OWNER_PATTERN.test(secret)) return createHash('sha256').update(secret).digest('hex')
  throw new SealiftError('invalid_request', 'Sealift-Owner must be 22 to 128 characters of base64url')
}

/** A compressed body could be a thousand times what its length says. */
function refuseEncodings({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return
  throw new SealiftError('unsupported_media_type', 'Send the bytes as they are, without Content-Encoding')
}

const IDEMPOTENCY_TTL_MS = 24 * 3_600_000

/** `null`: none was sent. @throws invalid_request */
export function idempotencyKeyOf({ req }: Pick<Exchange, 'req'>): string | null {
  const key = req.headers[HEADER.idempotencyKey]
  if (key === undefined) return null
  if (typeof key === 'string' && IDEMPOTENCY_KEY_PATTERN.test(key)) return key
  throw new SealiftError('invalid_request', 'Idempotency-Key must be 1 to 128 printable characters without spaces')
}

/** The caller as one who makes something repeatable. `request` is what must be the same when the key is repeated. */
export function asIdempotentCaller(
  exchange: Exchange,
  caller: Caller,
  request: unknown,
  clock: Clock,
): IdempotentCaller {
  const key = idempotencyKeyOf(exchange)
  if (key === null) return { ...caller, idempotency: null }
  const asked = JSON.stringify([exchange.route, exchange.path, request, caller.ownerHash])
  const fingerprint = createHash('sha256').update(asked).digest('hex')
  const { clientId } = caller.client
  return { ...caller, idempotency: { clientId, key, fingerprint, expiresAt: clock() + IDEMPOTENCY_TTL_MS } }
}

export interface IdentifyOptions {
  readonly live: LiveConfig
  readonly authenticator: Authenticator
  readonly devices: DeviceGate
  readonly wrongTokens: WrongTokens
}

/** What is looked at of a request; Node's `IncomingMessage` has it. */
export interface IncomingRequest {
  readonly headers: RequestHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

export interface Identity {
  readonly client: Client
  readonly tier: Tier
}

/**
 * Returns the function that every request passes first.
 * It throws unauthorized, rate_limited (an address that keeps sending wrong tokens), too_many_devices, unavailable.
 */
export function createIdentifier(
  options: IdentifyOptions,
): (req: IncomingRequest, how: { readonly capability: boolean }) => Identity | Promise<Identity> {
  const { live, devices } = options
  return (req, { capability }) => {
    const facts = { headers: req.headers, peerAddress: req.socket.remoteAddress, capability }
    return whenKnown(authenticateSparingly(options, facts), client => {
      const tier = tierOf(live.current, client)
      return whenKnown(devices.admit(client, tier), () => ({ client, tier }))
    })
  }
}

function authenticateSparingly(options: IdentifyOptions, facts: RequestFacts): Client | Promise<Client> {
  const client = options.authenticator.authenticate(facts)
  return client instanceof Promise ? client.catch((error: unknown) => refuse(options, facts, error)) : client
}

async function refuse(
  { wrongTokens, authenticator }: IdentifyOptions,
  facts: RequestFacts,
  error: unknown,
): Promise<never> {
  if (isSealiftError(error, 'unauthorized')) await wrongTokens.count(authenticator.addressOf(facts))
  throw error
}
