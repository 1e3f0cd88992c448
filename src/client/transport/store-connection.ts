import { isSealiftError } from '../../protocol/errors.ts'
import { abortReason } from '../concurrency/abort.ts'
import type { MonotonicClock } from '../concurrency/monotonic-clock.ts'
import { isLoopback } from '../link.ts'
import { addressClass } from './address-class.ts'
import type { Transport, TransportRequest, TransportResponse } from './transport.ts'

/** After this many failures in a row, of any parts, the store is not tried for some minutes. */
const FAILURES = 3
/** Failures within this time count as one: connections often break together. */
const BURST_MS = 1000
const PAUSE_MS = 5 * 60_000
/** Shorter than for a server, through which everything can go instead. */
const STALL_TIMEOUT_MS = 15_000

/**
 * How a request to the store failed.
 * - `refused`: the presigned URL has expired or is invalid; another URL may work
 * - `absent`: there is no such object
 * - `taken`: an object is stored there already, most often by an earlier attempt whose response was lost
 * - `failed`: the store was not reached, or had an error
 */
export type StoreFailure = 'refused' | 'absent' | 'taken' | 'failed'

export interface StoreConnectionOptions {
  readonly transport: Transport
  readonly clock: MonotonicClock
  /** Whose store it is. */
  readonly server: string
  readonly stallTimeoutMs: number
}

export type StoreRequest = Pick<TransportRequest, 'method' | 'body' | 'onSent' | 'signal'> & {
  readonly presigned: PresignedUrl
  readonly headers?: Readonly<Record<string, string>>
}

/** Requests from this client to the store of one server, and whether direct transfer is worth trying. */
export class StoreConnection {
  readonly #options: StoreConnectionOptions
  #failures = 0
  #worked = false
  #failedAt = -Infinity
  #pausedUntil = -Infinity

  constructor(options: StoreConnectionOptions) {
    this.#options = options
  }

  get clock(): MonotonicClock {
    return this.#options.clock
  }

  /** False for some minutes after repeated failures: everything goes through the server. */
  get isOpen(): boolean {
    return this.#options.clock.now() >= this.#pausedUntil
  }

  /** Whether the store has worked before, so that a failure may be temporary. */
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
    if (this.#failures >= FAILURES) this.pause()
  }

  /** Closes direct transfer for some minutes. */
  pause(): void {
    this.#failures = 0
    this.#pausedUntil = this.#options.clock.now() + PAUSE_MS
  }

  /**
   * One request with the headers of the presigned URL, and without our credential.
   * @throws the abort alone
   */
  async request({ presigned, headers, ...request }: StoreRequest): Promise<TransportResponse | StoreFailure> {
    if (!isUsableUrl(presigned, this.#options.server)) {
      this.pause()
      return 'failed'
    }
    try {
      const response = await this.#options.transport.request({
        ...request,
        url: presigned.url,
        headers: { ...withoutLength(presigned.headers), ...headers },
        noNearerThan: this.#options.server,
        stallTimeoutMs: Math.min(STALL_TIMEOUT_MS, this.#options.stallTimeoutMs),
      })
      if (response.status >= 200 && response.status < 300) return response
      await response.discard()
      return failureOf(response.status)
    } catch (error) {
      if (request.signal.aborted) throw abortReason(request.signal)
      if (isSealiftError(error, 'not_direct')) this.pause()
      return 'failed'
    }
  }
}

function failureOf(status: number): StoreFailure {
  if (status === 404) return 'absent'
  if (status === 412) return 'taken'
  return status === 400 || status === 401 || status === 403 ? 'refused' : 'failed'
}

/** Transports send the length of a body themselves, and `fetch` accepts no other. */
function withoutLength(headers: PresignedUrl['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'))
}

/** A presigned URL of a part in the store. It is a secret. */
export interface PresignedUrl {
  readonly url: string
  /** Sent unchanged. */
  readonly headers: Readonly<Record<string, string>>
}

/** Headers that stores need; none by which a server could make a client address another service. */
const STORE_HEADER = /^(content-(length|md5|type)|if-none-match|x-amz-[a-z0-9-]+)$/i

/**
 * Whether the text of a presigned URL is acceptable: a server on the network must not send its clients to services of
 * their own machine, nor from TLS to a store without TLS. Transports that can also check where the connection leads.
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
