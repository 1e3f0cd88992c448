import type { CryptoSuite, Role } from '../../sealing/index.ts'
import type { SealedMedia } from '../manifest.ts'
import type { PartBuffers } from '../bytes/buffers.ts'
import type { PartHashing } from './part-hashing.ts'
import type { Semaphore } from '../concurrency/semaphore.ts'
import type { Server } from '../wire/http.ts'
import type { Making } from '../wire/uploads.ts'
import type { PlainParts } from './plain-parts.ts'
import type { ItemJournal } from './send-journal.ts'

/** What all media of one send share. */
export interface SendContext {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly making: Making
  /** Whether the server is to compare each part with its digest: where nothing else protects it on its way. */
  readonly digests: boolean
  /** Bytes of parts in memory, of large and of small media: neither waits behind the other. */
  readonly partBuffers: PartBuffers
  /** Hashes what lies in those buffers. */
  readonly hashing: PartHashing
  readonly smallBuffers: Semaphore
}

/** One media to send: an item's bytes, or a thumbnail. */
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
   * Receivers can read so many plaintext bytes from the first on, while others are still on their way. The last part is
   * not told of: until the media is complete, its last chunk cannot be told from one in the middle.
   */
  readonly readable?: (bytes: number) => void
  /** Size of parts that is wished for; the server may give another. */
  readonly partBytes?: number
  /** Size of chunks, of which the default is a multiple. */
  readonly chunkBytes?: number
}

/** What is known of a media that is only beginning. */
export type Begun = Pick<SealedMedia, 'media' | 'key' | 'chunkBytes' | 'commit'> & {
  readonly sealedBytes: number | null
}
