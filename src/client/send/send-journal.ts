/**
 * What a send records to be resumed: in memory for a plain send; on disk in Node, for a later process.
 *
 * [Note: one key, one plaintext] AES-GCM gives both plaintexts away when two of them are sealed under the same key and
 * nonce. The key, salt and nonce prefix of an item are therefore written down with what identifies its bytes, and are
 * only reused for the same bytes: a process that recalls them first proves that the source has not changed, and draws
 * fresh ones otherwise.
 */
import { KEY_BYTES, NONCE_PREFIX_BYTES, SALT_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import type { SealedMedia } from '../manifest/manifest.ts'

/** What seals one item, and only its bytes as they were when this was drawn. */
export interface SealingSecrets {
  readonly key: Uint8Array<ArrayBuffer>
  readonly salt: Uint8Array<ArrayBuffer>
  readonly noncePrefix: Uint8Array<ArrayBuffer>
  /** Makes beginning or storing it a second time harmless. */
  readonly idempotencyKey: string
}

export interface JournaledUpload {
  readonly uploadId: string
  readonly mediaId: string
  readonly partBytes: number
  readonly chunkBytes: number
}

/** What is known of one thing that is sealed: an item, or its thumbnail. */
export interface ItemJournal {
  readonly secrets: SealingSecrets
  /** Begun, here or in an earlier process. */
  readonly upload: JournaledUpload | null
  /** Parts that the server has: their fingerprints by index. */
  readonly finishedParts: ReadonlyMap<number, string>
  /** All of it is stored. */
  readonly stored: SealedMedia | null
  /** Called before an upload is requested: a process that resumes without the response requests the same upload. */
  beginning(): Promise<void>
  begun(upload: JournaledUpload): Promise<void>
  partFinished(index: number, fingerprint: string): Promise<void>
  finished(media: SealedMedia): Promise<void>
  /** Forgets everything and draws fresh secrets: the bytes are not what they were, or the server lost them. */
  restart(): Promise<void>
}

/**
 * What is sealed of an item: its bytes as they are, or made in some way; its thumbnail; a track of its film. Each has
 * secrets of its own, since each has bytes of its own.
 */
export type SealedThing = 'item' | `made/${string}` | 'thumbnail' | `track/${number}`

/** What belongs to the parcel as a whole. */
export interface ParcelSecrets {
  readonly owner: string
  readonly manifestKey: Uint8Array<ArrayBuffer>
}

export interface SendJournal {
  readonly parcel: ParcelSecrets
  /** The parcel, when an earlier process has published it. */
  readonly published: { readonly parcelId: string; readonly expiresAt: string } | null
  parcelPublished(parcel: { readonly parcelId: string; readonly expiresAt: string }): Promise<void>
  /** All media items that a readable version of the parcel named, in any process: see [Note: what a parcel covers]. */
  readonly coveredMedia: ReadonlySet<string>
  mediaCovered(media: readonly string[]): Promise<void>
  item(index: number, thing: SealedThing): ItemJournal
  /** Of everything that was sealed of an item. */
  things(index: number): readonly ItemJournal[]
}

export function drawParcelSecrets(suite: CryptoSuite): ParcelSecrets {
  return { owner: toBase64Url(suite.randomBytes(32)), manifestKey: suite.randomBytes(KEY_BYTES) }
}

export function drawSecrets(suite: CryptoSuite): SealingSecrets {
  return {
    key: suite.randomBytes(KEY_BYTES),
    salt: suite.randomBytes(SALT_BYTES),
    noncePrefix: suite.randomBytes(NONCE_PREFIX_BYTES),
    idempotencyKey: toBase64Url(suite.randomBytes(24)),
  }
}

/** Remembers for as long as this process runs. */
export class MemoryJournal implements SendJournal {
  readonly parcel: ParcelSecrets
  published: SendJournal['published'] = null
  readonly coveredMedia = new Set<string>()
  readonly #suite: CryptoSuite
  readonly #items = new Map<string, MemoryItemJournal>()

  constructor(suite: CryptoSuite) {
    this.#suite = suite
    this.parcel = drawParcelSecrets(suite)
  }

  get items(): Iterable<ItemJournal> {
    return this.#items.values()
  }

  parcelPublished(parcel: NonNullable<SendJournal['published']>): Promise<void> {
    this.published = parcel
    return Promise.resolve()
  }

  mediaCovered(media: readonly string[]): Promise<void> {
    for (const id of media) this.coveredMedia.add(id)
    return Promise.resolve()
  }

  item(index: number, thing: SealedThing): ItemJournal {
    const key = `${thing}@${index}`
    const item = this.#items.get(key) ?? new MemoryItemJournal(this.#suite)
    this.#items.set(key, item)
    return item
  }

  things(index: number): readonly ItemJournal[] {
    return Array.from(this.#items).flatMap(([key, item]) => (key.endsWith(`@${index}`) ? item : []))
  }
}

class MemoryItemJournal implements ItemJournal {
  secrets: SealingSecrets
  upload: JournaledUpload | null = null
  stored: SealedMedia | null = null
  readonly finishedParts = new Map<number, string>()
  readonly #suite: CryptoSuite

  constructor(suite: CryptoSuite) {
    this.#suite = suite
    this.secrets = drawSecrets(suite)
  }

  beginning(): Promise<void> {
    return Promise.resolve()
  }

  begun(upload: JournaledUpload): Promise<void> {
    this.upload = upload
    return Promise.resolve()
  }

  partFinished(index: number, fingerprint: string): Promise<void> {
    this.finishedParts.set(index, fingerprint)
    return Promise.resolve()
  }

  finished(media: SealedMedia): Promise<void> {
    this.stored = media
    return Promise.resolve()
  }

  restart(): Promise<void> {
    this.secrets = drawSecrets(this.#suite)
    this.upload = null
    this.stored = null
    this.finishedParts.clear()
    return Promise.resolve()
  }
}
