/** The listener for clients: who may send a request, how it finds its route, and what is logged when it ends. */
import { isSealiftError } from '../../protocol/errors.ts'
import { createAuthenticator } from '../access/authenticator.ts'
import { createProxyTrust, isForwarded } from '../access/client-address.ts'
import { DeviceGate } from '../access/devices.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { Dispatcher } from '../http/dispatch.ts'
import type { Exchange } from '../http/exchange.ts'
import { createIdentifier, Gate } from '../http/gate.ts'
import type { RouteTable } from '../http/route-table.ts'
import { HttpServer } from '../http/server.ts'
import type { RateLimiter } from '../limits/limiter.ts'
import { WrongTokens } from '../limits/wrong-tokens.ts'
import type { ClientRecords } from '../records/record-store.ts'
import type { Events } from '../telemetry/events.ts'

export interface ListenerOptions {
  readonly live: LiveConfig
  readonly routes: RouteTable
  readonly records: ClientRecords
  readonly rates: RateLimiter
  readonly clock: Clock
  readonly events: Events
  /** SHA-256 (hex) of the token of this machine's own user. */
  readonly localTokenSha256: string | undefined
}

export function createListener({
  live,
  routes,
  records,
  rates,
  clock,
  events,
  ...options
}: ListenerOptions): HttpServer {
  const proxies = createProxyTrust(live)
  const wrongTokens = new WrongTokens({ rates })
  const identify = createIdentifier({
    live,
    authenticator: createAuthenticator({ live, clock, proxies, wrongTokens, ...options }),
    devices: new DeviceGate({ live, records, clock }),
    wrongTokens,
  })
  const gate = new Gate({ identify, rates, readersNeedToken: () => live.current.access.downloads === 'token' })
  return new HttpServer({
    dispatcher: new Dispatcher({ gate, table: routes }),
    terms: () => ({
      idleMs: live.current.transfer.idleTimeoutMs,
      maxConnectionsPerAddress: live.current.listen.maxConnectionsPerAddress,
      corsOrigins: live.current.cors.origins,
    }),
    maxConnections: live.current.listen.maxConnections,
    isTrustedProxy: address => proxies.trusts(address),
    onEnd: exchange => reportEnd(events, exchange),
  })
}

function reportEnd(events: Events, exchange: Exchange): void {
  const { req, res, requestId, route, clientId, receivedBytes, sentBytes, error } = exchange
  events.requestEnded({
    requestId,
    route,
    method: req.method ?? '',
    status: res.writableFinished || exchange.respondedEarly ? res.statusCode : null,
    durationMs: performance.now() - exchange.startedAtMs,
    receivedBytes,
    sentBytes,
    clientId,
    forwarded: () => isForwarded(req.headers),
    // A client that closed the connection is no failure.
    error: isSealiftError(error, 'aborted') ? null : error,
  })
}
