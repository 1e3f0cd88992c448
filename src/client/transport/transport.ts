import type { AsyncResource } from '../api/async-resource.ts'

/**
 * Sends requests, without retries and without knowledge of Sealift: `fetchTransport`, and `undiciTransport` in Node.
 */
export interface Transport extends AsyncResource {
  /** Whether it checks where connections lead, as `noNearerThan` needs. `fetch` does not. */
  readonly judgesConnections?: boolean
  /**
   * Sends one request. Resolves with the response's head, whatever its status.
   * @throws `network` when no response came or the connection broke (also while reading the body); the signal's reason
   */
  request(request: TransportRequest): Promise<TransportResponse>
}

/** One HTTP request, as the SDK makes it. */
export interface TransportRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Not copied: the caller leaves it alone until the request has ended. */
  readonly body?: Uint8Array<ArrayBuffer>
  /** Called with the number of body bytes sent since the last call; for a small body once. */
  readonly onSent?: (bytes: number) => void
  readonly signal: AbortSignal
  /**
   * URL of a server that has been reached before: the request fails with `not_direct`, before anything is sent, when
   * its connection leads to a more private network than that server's. Needs `judgesConnections`.
   */
  readonly noNearerThan?: string
  /** Longest silence of the other side before the request is given up as `network`. */
  readonly stallTimeoutMs: number
}

/** One HTTP response; its body is read once, or cancelled. */
export interface TransportResponse {
  readonly status: number
  /** The value of a header, its name in lower case. */
  header(name: string): string | null
  /** The body, to be read once; its pieces are the reader's own. Leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>
  /** Gives up the body without reading it. */
  discard(): Promise<void>
}
