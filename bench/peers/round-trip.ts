import type { BenchContext, Peer } from '../context.ts'

/** Something that carries a file, sealed, through a server and brings it back. */
export interface RoundTrip extends AsyncDisposable {
  readonly pid: number
  /** Seals and sends `source`, then fetches and opens it into `target`. */
  sendAndGet(source: string, target: string): Promise<void>
  /** Deletes what is left of it, except `target`. */
  clear(): Promise<void>
}

export interface RoundTripPeer extends Peer {
  start(context: BenchContext): Promise<RoundTrip>
}
