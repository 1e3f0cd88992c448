import type { AsyncResource } from '../api/async-resource.ts'

/** Sends requests, without retries and without knowledge of Sealift: `fetchTransport`, and `undiciTransport` in Node. */
export interface Transport extends AsyncResource {
  /** Whether it knows where connections lead, and so heeds `noNearerThan`. `fetch` does not. */
  readonly judgesConnections?: boolean
  /**
   * Sends one request. Resolves with the answer's head, whatever its status.
   * @throws `network` when no answer came or the connection broke (also while reading the body); the signal's reason
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
  /** Told how many more bytes of the body have left, as far as the transport can see; of a small body at once. */
  readonly onSent?: (bytes: number) => void
  readonly signal: AbortSignal
  /**
   * URL of a server that has been reached before: fails with `not_direct`, before anything is sent, where the connection
   * leads to a more private network than those to that server. Of no effect without `judgesConnections`.
   */
  readonly noNearerThan?: string
  /** Longest silence of the other side before the request is given up as `network`. */
  readonly stallTimeoutMs: number
}

/** One HTTP answer; its body is read once, or cancelled. */
export interface TransportResponse {
  readonly status: number
  /** The value of a header, its name in lower case. */
  header(name: string): string | null
  /** The body, to be read once; its pieces are the reader's own. Leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>
  /** Gives up the body without reading it. */
  discard(): Promise<void>
}
