/** What goes between a client and its hashing thread. Messages are worked on in the order they are sent. */
export interface HashCall {
  /** Numbers the answers. */
  readonly id: number
  /** Which SHA-256 goes on; `md5`: the MD5 of this part alone is asked for. */
  readonly hash: number | 'md5'
  /** In shared memory; `null` asks for the digest. */
  readonly part: Uint8Array | null
}

export interface HashAnswer {
  readonly id: number
  readonly digest: Uint8Array<ArrayBuffer> | null
}

/** The first message of a thread that came up. */
export const READY: HashAnswer = { id: 0, digest: null }
