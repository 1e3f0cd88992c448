import type { CryptoSuite, Role } from '../../sealing/index.ts'
import type { SealedMedia } from '../manifest/manifest.ts'
import type { PartBuffers } from '../bytes/buffers.ts'
import type { PartHashing } from './part-hashing.ts'
import type { Semaphore } from '../concurrency/semaphore.ts'
import type { Server } from '../wire/http.ts'
import type { Making } from '../wire/uploads.ts'
import type { PlainParts } from './plain-parts.ts'
import type { ItemJournal } from './send-journal.ts'

/** What all media items of one send share. */
export interface SendContext {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly making: Making
  /** Whether the server compares each part with its digest: where nothing else protects it in transit. */
  readonly digests: boolean
  /** Memory of parts of large media items; small ones use `smallBuffers`, so that neither waits for the other. */
  readonly partBuffers: PartBuffers
  /** Hashes what lies in those buffers. */
  readonly hashing: PartHashing
  readonly smallBuffers: Semaphore
}

/** One media item to send: an item's bytes, a track, or a thumbnail. */
export interface OutgoingMedia {
  readonly role: Role
  readonly parts: PlainParts
  readonly journal: ItemJournal
  /** Begins the upload before anything is read, so that receivers can follow it from the first byte. */
  readonly followable: boolean
  /** Plaintext bytes that moved; fewer than none when they must be moved again. */
  readonly moved: (bytes: number) => void
  /** Plaintext bytes that the server had already. */
  readonly found: (bytes: number) => void
  /** Called when receivers could begin to follow. */
  readonly begun: (media: Begun) => void
  /**
   * Called with the number of plaintext bytes that receivers can read from the first on, while others are in flight.
   * The last part is not reported, because its last chunk opens only when the media item is complete.
   */
  readonly readable?: (bytes: number) => void
  /** Whether receivers watch it while it is sent: it goes in small parts, few at once. */
  readonly isWatched: boolean
  /** Size of chunks, of which the default is a multiple. */
  readonly chunkBytes?: number
}

/** What is known of a media item whose upload has begun. */
export type Begun = Pick<SealedMedia, 'media' | 'key' | 'chunkBytes' | 'commit'> & {
  readonly sealedBytes: number | null
}
