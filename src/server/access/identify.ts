/** From a request to the client and what applies to it: token, device, tier. */
import type { LiveConfig } from '../config/live-config.ts'
import { whenKnown } from '../limits/limiter.ts'
import { tierOf } from '../limits/tiers.ts'
import { isSealiftError } from '../../protocol/errors.ts'
import type { Client, Tier } from './access.ts'
import type { Authenticator, RequestFacts } from './authenticator.ts'
import type { RequestHeaders } from './client-address.ts'
import type { DeviceGate } from './devices.ts'
import type { WrongTokens } from './wrong-tokens.ts'

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

async function refuse(
  { wrongTokens, authenticator }: IdentifyOptions,
  facts: RequestFacts,
  error: unknown,
): Promise<never> {
  if (isSealiftError(error, 'unauthorized')) await wrongTokens.count(authenticator.addressOf(facts))
  throw error
}
