/** From a request to the client and what applies to it: token, device, tier. */
import { SealiftError } from '../../protocol/errors.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { whenKnown, type RateLimiter } from '../limits/limiter.ts'
import { tierOf } from '../limits/tiers.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { Client, Tier } from './access.ts'
import type { Authenticator, RequestFacts } from './authenticator.ts'
import type { RequestHeaders } from './client-address.ts'
import type { DeviceGate } from './devices.ts'

export interface IdentifyOptions {
  readonly live: LiveConfig
  readonly authenticator: Authenticator
  readonly devices: DeviceGate
  readonly rates: RateLimiter
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

/** Wrong tokens an address may send: enough for a crowd behind one router, too few to guess. */
const WRONG_TOKENS = { perSecond: 5, burst: 200 }

/**
 * Returns the function that every request passes first.
 * It throws unauthorized, rate_limited (an address that keeps sending wrong tokens), too_many_devices, unavailable.
 */
export function createIdentify(
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

async function refuse({ rates, authenticator }: IdentifyOptions, facts: RequestFacts, error: unknown): Promise<never> {
  if (!isSealiftError(error, 'unauthorized')) throw error
  const taken = await rates.take(`wrong-tokens:${authenticator.addressOf(facts)}`, 1, WRONG_TOKENS)
  if (taken.ok) throw error
  throw new SealiftError('rate_limited', 'Too many requests without a valid token', {
    context: {
      limit: 'wrongTokens',
      value: WRONG_TOKENS.perSecond,
      remaining: 0,
      retryAfterSeconds: taken.retryAfterMs / 1000,
    },
  })
}
