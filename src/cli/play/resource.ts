import type { PlainRange } from '../../client/node/index.ts'

/** Something short, whole in memory. */
export interface TextResource {
  readonly type: string
  readonly body: string | Uint8Array
}

/** Bytes of any length, read as they are sent. */
export interface BytesResource {
  readonly type: string
  /** `null` while it is not known: then there are no ranges beyond `readableBytes`. */
  readonly totalBytes: number | null
  /** Bytes from the first on that can be asked for by ranges. */
  readonly readableBytes: number
  /** The bytes of a range; of all there will be when it is absent. Ends, or fails, and never ends early. */
  read(range: PlainRange | null, signal: AbortSignal): AsyncIterable<Uint8Array>
}

export type Resource = TextResource | BytesResource
