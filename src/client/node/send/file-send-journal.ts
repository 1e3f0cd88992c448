/**
 * The journal of one `sendFiles`, on disk: what a later process needs to go on. It holds keys, so only its owner reads
 * it, and it is deleted when the send is done.
 *
 * What a recalled key may seal: see [Note: one key, one plaintext] in `send/send-journal.ts`. Here the proof that
 * a file is what it was is its stamp - size, times, inode - and that the machine has not been started anew since: after
 * a power cut a file may hold older bytes under newer times. A file that had changed just before it was looked at
 * proves nothing either. In all these cases the item draws fresh secrets and begins anew.
 */
import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { isSealiftError } from '../../../protocol/errors.ts'
import type { SealiftError } from '../../../protocol/errors.ts'
import type { CryptoSuite } from '../../../sealing/index.ts'
import { toBase64Url } from '../../bytes/base64url.ts'
import { drawParcelSecrets, drawSecrets, MemoryJournal } from '../../send/send-journal.ts'
import type {
  ItemJournal,
  JournaledUpload,
  ParcelSecrets,
  SealedThing,
  SealingSecrets,
  SendJournal,
} from '../../send/send-journal.ts'
import type { SealedMedia } from '../../manifest/manifest.ts'
import type { FileSource, FileStamp } from '../files/file-source.ts'
import { sameStamp } from '../files/file-source.ts'
import { LineJournal, ownIdentity } from '../state/line-journal.ts'
import { keyOf, recall } from './send-journal-entries.ts'
import type { Recalled, RecalledItem } from './send-journal-entries.ts'
import { stateFolder } from '../state/state-directory.ts'

export interface SendIdentity {
  readonly server: string
  /** In order; `null` for what is no file. */
  readonly files: readonly ({ readonly name: string; readonly source: FileSource } | null)[]
  /** Whatever else makes it another send. */
  readonly terms: readonly (string | number | boolean | null)[]
}

interface JournalOptions {
  /** Called, once, when the journal cannot be written any more, so that the send cannot be resumed. */
  readonly onFailure: (error: SealiftError) => void
}

export class FileSendJournal implements SendJournal, AsyncDisposable {
  readonly parcel: ParcelSecrets
  published: SendJournal['published'] = null
  readonly coveredMedia = new Set<string>()
  /** True when something of an earlier process is gone on with. */
  resumed = false
  /** Uploads of files that have changed since: to be given up. */
  readonly stale: JournaledUpload[] = []
  readonly #lines: LineJournal
  readonly #suite: CryptoSuite
  /** By index and thing. */
  readonly #items = new Map<string, FileItemJournal>()
  #stamps: { readonly stamps: readonly (FileStamp | null)[]; readonly boot: string } = { stamps: [], boot: '' }
  readonly #memory: MemoryJournal
  readonly #onFailure: (error: SealiftError) => void
  #failed = false

  private constructor(options: JournalOptions & { lines: LineJournal; suite: CryptoSuite; parcel: ParcelSecrets }) {
    this.#lines = options.lines
    this.#onFailure = options.onFailure
    this.#suite = options.suite
    this.parcel = options.parcel
    this.#memory = new MemoryJournal(options.suite)
  }

  /**
   * Opens the journal of this send, an earlier one of the same files if there is one.
   * @returns `null` when another process is sending the same right now
   * @throws local_file
   */
  static async open(
    stateDirectory: string,
    identity: SendIdentity,
    options: JournalOptions & { readonly suite: CryptoSuite },
  ): Promise<FileSendJournal | null> {
    const { suite, onFailure } = options
    const path = join(await stateFolder(stateDirectory, 'sends'), `${nameOf(identity)}.jsonl`)
    const recalled = await recall(path)
    if (recalled === 'busy') return null
    if (recalled === null) await rm(path, { force: true })
    const lines = await LineJournal.open(path)
    const parcel = recalled?.parcel ?? drawParcelSecrets(suite)
    const journal = new FileSendJournal({ lines, suite, parcel, onFailure })
    await journal.#begin(identity, recalled)
    return journal
  }

  async parcelPublished(parcel: NonNullable<SendJournal['published']>): Promise<void> {
    this.published = parcel
    this.coveredMedia.clear()
    await this.#append({ published: parcel })
  }

  async mediaCovered(media: readonly string[]): Promise<void> {
    const covered = media.filter(id => !this.coveredMedia.has(id))
    if (covered.length === 0) return
    for (const id of covered) this.coveredMedia.add(id)
    await this.#append({ covered })
  }

  /** Of everything that was sent, or begun. */
  get items(): readonly ItemJournal[] {
    return [...this.#items.values(), ...this.#memory.items]
  }

  /** Streams, thumbnails and tracks are not resumed, since their bytes may differ. */
  item(index: number, thing: SealedThing): ItemJournal {
    const known = this.#items.get(keyOf(index, thing))
    if (known) return known
    const isOfFile = thing === 'item' || thing.startsWith('made/')
    return (isOfFile && this.#open(index, thing)) || this.#memory.item(index, thing)
  }

  things(index: number): readonly ItemJournal[] {
    const kept = Array.from(this.#items).flatMap(([key, item]) => (key.endsWith(`@${index}`) ? item : []))
    return [...kept, ...this.#memory.things(index)]
  }

  /** Deletes it: the send is done. */
  remove(): Promise<void> {
    return this.#lines.remove()
  }

  /** Leaves it to a later send of the same files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.append({ process: null }).catch(() => undefined)
    await this.#lines[Symbol.asyncDispose]()
  }

  async #begin(identity: SendIdentity, recalled: Recalled | null): Promise<void> {
    const process = await ownIdentity()
    this.published = recalled?.published ?? null
    for (const media of recalled?.covered ?? []) this.coveredMedia.add(media)
    if (!recalled) await this.#append(headEntry(this.parcel))
    await this.#append({ process })
    this.#stamps = { stamps: identity.files.map(file => file && file.source.stamp), boot: process.boot }
    for (const before of recalled?.items.values() ?? []) this.#recall(before)
  }

  /**
   * The send goes on without its journal. Nothing more is written, since a journal that a later process reads must be
   * complete up to its end.
   */
  async #append(entry: object): Promise<void> {
    if (this.#failed) return
    try {
      await this.#lines.append(entry)
    } catch (error) {
      if (!isSealiftError(error, 'local_file')) throw error
      if (!this.#failed) this.#onFailure(error)
      this.#failed = true
    }
  }

  #recall(before: RecalledItem): void {
    const { stamps, boot } = this.#stamps
    const stamp = stamps[before.index]
    if (!stamp || !mayGoOn(before, stamp, boot)) {
      if (before.upload && !before.stored) this.stale.push(before.upload)
      return
    }
    const journal = this.#open(before.index, before.thing)
    journal?.recall(before)
    this.resumed ||= before.upload !== null || before.stored !== null
  }

  /** `null` when it is of no file. */
  #open(index: number, thing: SealedThing): FileItemJournal | null {
    const { stamps, boot } = this.#stamps
    const stamp = stamps[index]
    if (!stamp) return null
    const place = thing === 'item' ? { item: index } : { item: index, thing }
    const append = (entry: object): Promise<void> => this.#append({ ...place, ...entry })
    const journal = new FileItemJournal({ suite: this.#suite, append, stamp, boot })
    this.#items.set(keyOf(index, thing), journal)
    return journal
  }
}

interface FileItemJournalOptions {
  readonly suite: CryptoSuite
  readonly stamp: FileStamp
  readonly boot: string
  append(entry: object): Promise<void>
}

class FileItemJournal implements ItemJournal {
  secrets: SealingSecrets
  upload: JournaledUpload | null = null
  stored: SealedMedia | null = null
  readonly finishedParts = new Map<number, string>()
  readonly #options: FileItemJournalOptions
  #written = false

  constructor(options: FileItemJournalOptions) {
    this.#options = options
    this.secrets = drawSecrets(options.suite)
  }

  recall(item: RecalledItem): void {
    this.secrets = item.secrets
    this.upload = item.upload
    this.stored = item.stored
    for (const [index, fingerprint] of item.parts) this.finishedParts.set(index, fingerprint)
    this.#written = true
  }

  beginning(): Promise<void> {
    return this.#writeSecrets()
  }

  async begun(upload: JournaledUpload): Promise<void> {
    this.upload = upload
    await this.#writeSecrets()
    await this.#options.append({ upload })
  }

  async partFinished(index: number, fingerprint: string): Promise<void> {
    this.finishedParts.set(index, fingerprint)
    await this.#options.append({ part: index, fingerprint })
  }

  async finished(media: SealedMedia): Promise<void> {
    this.stored = media
    await this.#writeSecrets()
    await this.#options.append({ stored: media })
  }

  async restart(): Promise<void> {
    this.secrets = drawSecrets(this.#options.suite)
    this.upload = null
    this.stored = null
    this.finishedParts.clear()
    this.#written = false
    await this.#writeSecrets()
  }

  /** Before anything is noted of them: what nothing is known of is sealed under other ones next time. */
  async #writeSecrets(): Promise<void> {
    if (this.#written) return
    this.#written = true
    const { key, salt, noncePrefix, idempotencyKey } = this.secrets
    const { stamp, boot } = this.#options
    const secrets = { key: toBase64Url(key), salt: toBase64Url(salt), noncePrefix: toBase64Url(noncePrefix) }
    await this.#options.append({ stamp, boot, ...secrets, idempotencyKey })
  }
}

function mayGoOn(before: RecalledItem, stamp: FileStamp, boot: string): boolean {
  if (!before.stamp.settled || !sameStamp(before.stamp, stamp)) return false
  // What is stored whole is never sealed again.
  return before.stored !== null || before.boot === boot
}

function headEntry(parcel: ParcelSecrets): object {
  return { send: 1, createdAt: Date.now(), owner: parcel.owner, manifestKey: toBase64Url(parcel.manifestKey) }
}

/** Identifies this send. The state of the files is not in it, so that a changed file is noticed. */
function nameOf({ server, files, terms }: SendIdentity): string {
  const listed = files.map(file => file && [file.name, resolve(file.source.path)])
  return createHash('sha256')
    .update(JSON.stringify([server, listed, terms]))
    .digest('hex')
    .slice(0, 32)
}
