import { isSealiftError } from '../../protocol/errors.ts'
import { abortReason } from '../concurrency/abort.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { isLoopback } from '../link.ts'
import { addressClass } from './address-class.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

/** So many failures in a row, of whichever parts, and the store is left alone. */
const FAILURES = 3
/** What fails at once, as when the connections to a store that works are cut together, is one failure. */
const BURST_MS = 1000
const LEFT_ALONE_MS = 5 * 60_000
/** A store that cannot be reached is found out sooner than a server: there is another way. */
const STALL_TIMEOUT_MS = 15_000

/**
 * How a request to the store ended, when it brought no answer to work with.
 * - `refused`: the address has expired, or the store does not take it; another one may work
 * - `absent`: there is no such object, which the server can tell more about
 * - `taken`: something is stored there already, most often by an earlier try whose answer was lost
 * - `failed`: the store was not reached, or could not do it
 */
export type StoreTrouble = 'refused' | 'absent' | 'taken' | 'failed'

export interface StoreConnectionOptions {
  readonly transport: Transport
  readonly clock: MonotonicClock
  /** Whose store it is. */
  readonly server: string
  readonly stallTimeoutMs: number
}

export type StoreRequest = Pick<TransportRequest, 'method' | 'body' | 'onSent' | 'signal'> & {
  readonly address: PresignedUrl
  readonly headers?: Readonly<Record<string, string>>
}

/** The way from this client to the store of one server, past the server; and whether it is worth trying. */
export class StoreConnection {
  readonly #options: StoreConnectionOptions
  #failures = 0
  #worked = false
  #failedAt = -Infinity
  #leftAloneUntil = -Infinity

  constructor(options: StoreConnectionOptions) {
    this.#options = options
  }

  get clock(): MonotonicClock {
    return this.#options.clock
  }

  /** False when it failed so often, not long ago, that everything goes through the server. */
  get isOpen(): boolean {
    return this.#options.clock.now() >= this.#leftAloneUntil
  }

  /** Whether a failure may be passing: it has worked before. */
  get hasWorked(): boolean {
    return this.#worked
  }

  worked(): void {
    this.#worked = true
    this.#failures = 0
  }

  failed(): void {
    const now = this.#options.clock.now()
    if (this.#worked && now - this.#failedAt < BURST_MS) return
    this.#failedAt = now
    this.#failures += 1
    if (this.#failures >= FAILURES) this.leave()
  }

  /** Leaves the store alone for some minutes. */
  leave(): void {
    this.#failures = 0
    this.#leftAloneUntil = this.#options.clock.now() + LEFT_ALONE_MS
  }

  /**
   * One request, with the headers of the address and no secret of ours.
   * @throws the abort alone
   */
  async request({ address, headers, ...request }: StoreRequest): Promise<TransportResponse | StoreTrouble> {
    if (!isUsableUrl(address, this.#options.server)) {
      this.leave()
      return 'failed'
    }
    try {
      const response = await this.#options.transport.request({
        ...request,
        url: address.url,
        headers: { ...withoutLength(address.headers), ...headers },
        noNearerThan: this.#options.server,
        stallTimeoutMs: Math.min(STALL_TIMEOUT_MS, this.#options.stallTimeoutMs),
      })
      if (response.status >= 200 && response.status < 300) return response
      await response.discard()
      return troubleOf(response.status)
    } catch (error) {
      if (request.signal.aborted) throw abortReason(request.signal)
      if (isSealiftError(error, 'not_direct')) this.leave()
      return 'failed'
    }
  }
}

function troubleOf(status: number): StoreTrouble {
  if (status === 404) return 'absent'
  if (status === 412) return 'taken'
  return status === 400 || status === 401 || status === 403 ? 'refused' : 'failed'
}

/** Transports tell the length of a body themselves; `fetch` refuses to be told. */
function withoutLength(headers: PresignedUrl['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'))
}

/** Where the store takes or gives the bytes of a part. Its URL is a secret. */
export interface PresignedUrl {
  readonly url: string
  /** Sent exactly so. */
  readonly headers: Readonly<Record<string, string>>
}

/** What stores want to be told; nothing by which a server could make a client speak to something else. */
const STORE_HEADER = /^(content-(length|md5|type)|if-none-match|x-amz-[a-z0-9-]+)$/i

/**
 * Whether a presigned URL may be used, as far as its text tells: a server on the network must not send its clients to
 * services of their own machine, nor one with TLS to a store without. Where the connection leads is judged by the
 * transport, if it can.
 */
export function isUsableUrl({ url: text, headers }: PresignedUrl, server: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return false
  const { protocol, hostname } = new URL(server)
  if (protocol === 'https:' && url.protocol !== 'https:') return false
  if (isThisMachine(url.hostname) && !isThisMachine(hostname)) return false
  return Object.keys(headers).every(name => STORE_HEADER.test(name))
}

/** Whether a host name, as `URL` gives it, means this machine in any spelling. */
function isThisMachine(hostname: string): boolean {
  return isLoopback(hostname.replace(/\.$/, '')) || addressClass(hostname) === 'loopback'
}
