/**
 * The one entrance. Every route of the table but the public ones passes the gate before its handler runs, in this
 * order: owner secret, token, device, request rate, encoding.
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

/**
 * Routes beside the gate. A balancer that receives 429 removes the node, and many balancers share an address, so a
 * health check is never refused for its rate. Both routes cost next to nothing: one has a fixed body, the other a
 * result that is cached for two seconds.
 */
export type PublicRoute = 'health' | 'ready'

/** Who sends a request, and the limits of their tier. */
export interface Identity {
  readonly client: Client
  readonly tier: Tier
}

/** What the gate reads of a request; Node's `IncomingMessage` has it. */
export interface IncomingRequest {
  readonly headers: RequestHeaders
  readonly socket: { readonly remoteAddress?: string | undefined }
}

/**
 * `capability`: the caller may be anonymous even where open mode is off, since the request names what it reads or
 * changes by an unguessable id or proves an owner secret. A token that is sent is always checked.
 * @throws unauthorized; rate_limited, for an address that keeps sending wrong tokens; too_many_devices; unavailable
 */
export type Identify = (req: IncomingRequest, options: { readonly capability: boolean }) => Identity | Promise<Identity>

export interface GateOptions {
  readonly identify: Identify
  readonly rates: RateLimiter
  /** True when downloads need a token besides the id. */
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
      return whenKnown(this.#takeRequest(client, tier, exchange.signal), () => {
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

  #takeRequest(
    { clientId }: Client,
    { requestsPerSecond, requestBurst }: Tier,
    signal: AbortSignal,
  ): void | Promise<void> {
    const rate = { perSecond: requestsPerSecond, burst: requestBurst }
    const taking = this.#options.rates.take(`requests:${clientId}`, 1, rate, signal)
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

export interface IdentifierOptions {
  readonly live: LiveConfig
  readonly authenticator: Authenticator
  readonly devices: DeviceGate
  readonly wrongTokens: WrongTokens
}

/** From a request to its client and tier, by token and device. */
export function createIdentifier(options: IdentifierOptions): Identify {
  const { live, devices } = options
  return (req, { capability }) => {
    const facts = { headers: req.headers, peerAddress: req.socket.remoteAddress, capability }
    return whenKnown(authenticate(options, facts), client => {
      const tier = tierOf(live.current, client)
      return whenKnown(devices.admit(client, tier), () => ({ client, tier }))
    })
  }
}

/** Counts wrong tokens by address. */
function authenticate(
  { authenticator, wrongTokens }: IdentifierOptions,
  facts: RequestFacts,
): Client | Promise<Client> {
  const client = authenticator.authenticate(facts)
  if (!(client instanceof Promise)) return client
  return client.catch(async (error: unknown) => {
    if (isSealiftError(error, 'unauthorized')) await wrongTokens.count(authenticator.addressOf(facts))
    throw error
  })
}

function ownerHashOf(req: IncomingMessage): string | null {
  const secret = req.headers[HEADER.owner]
  if (secret === undefined) return null
  if (typeof secret === 'string' && OWNER_PATTERN.test(secret)) return createHash('sha256').update(secret).digest('hex')
  throw new SealiftError('invalid_request', 'Sealift-Owner must be 22 to 128 characters of base64url')
}

/** A compressed body could be a thousand times as large as its `Content-Length`. */
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

/** The caller with the idempotency key of the request. A repeated key must come with the same `request`. */
export function asIdempotentCaller(
  exchange: Exchange,
  caller: Caller,
  request: unknown,
  clock: Clock,
): IdempotentCaller {
  const key = idempotencyKeyOf(exchange)
  if (key === null) return { ...caller, idempotency: null }
  const identity = JSON.stringify([exchange.route, exchange.path, request, caller.ownerHash])
  const fingerprint = createHash('sha256').update(identity).digest('hex')
  const { clientId } = caller.client
  return { ...caller, idempotency: { clientId, key, fingerprint, expiresAt: clock() + IDEMPOTENCY_TTL_MS } }
}
