import { createHash } from 'node:crypto'

import { isSealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { nodeSuite } from '../../sealing/node-suite.ts'
import { parseLink, serverBase } from '../link.ts'
import type { CallOptions, Forwarded, Published, SealiftOptions, SendItem, SendOptions } from '../options.ts'
import { Sealift } from '../sealift.ts'
import type { ForwardOptions, Sent } from '../sealift.ts'
import { hashingHere } from '../part-hashing.ts'
import type { PartHashing } from '../part-hashing.ts'
import { fileSource } from './file-source.ts'
import type { FileSource } from './file-source.ts'
import type { FileItem } from './list-files.ts'
import { HashThread } from './hash-thread.ts'
import { OwnedParcels } from './owned-parcels.ts'
import { receiveFiles } from './receive-files.ts'
import type { Received, ReceiveOptions } from './receive-files.ts'
import { FileSendJournal } from './send-journal.ts'
import { defaultStateDirectory } from './state-directory.ts'
import { undiciTransport } from './undici-transport.ts'

/** Connections beside those that carry bytes: half as many again for receiving; begin, complete, publish. */
const SPARE_CONNECTIONS = 26
/** Files looked at once. */
const STAT_AT_ONCE = 32

/** As `SealiftOptions`, and where journals are kept. */
export interface NodeSealiftOptions extends SealiftOptions {
  /**
   * Where journals of unfinished sends and the owner secrets of sent parcels are kept, readable by this user alone.
   * Default `$XDG_STATE_HOME/sealift`, else `~/.local/state/sealift`. `false`: nothing is kept, no send resumes.
   */
  readonly stateDirectory?: string | false
}

/** What `sendFiles` gives back. */
export interface SentFiles extends Sent {
  /** True when an earlier, unfinished send of the same files was gone on with. */
  readonly resumed: boolean
}

/** A Sealift client with files, journals and the faster transport. Dispose it to close its connections. */
export class NodeSealift extends Sealift {
  readonly #server: string | undefined
  readonly #stateDirectory: string | false
  readonly #owned: OwnedParcels | null
  readonly #thread: HashThread | null

  constructor(options: NodeSealiftOptions = {}) {
    const thread = threadFor(options)
    const given = {
      ...options,
      suite: options.suite ?? nodeSuite,
      transport: options.transport ?? undiciTransport({ connections: connectionsFor(options) }),
    }
    super(given, thread ?? hashingInNode(given.suite))
    this.#thread = thread
    this.#server = options.server
    this.#stateDirectory = options.stateDirectory ?? defaultStateDirectory()
    this.#owned = this.#stateDirectory === false ? null : new OwnedParcels(this.#stateDirectory)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    await this.#thread?.[Symbol.asyncDispose]()
  }

  /** As `Sealift.send`; keeps the owner secret, so that `delete` finds it. */
  override async send(items: Iterable<SendItem>, options: SendOptions = {}): Promise<Sent> {
    return this.#remembered(await super.send(items, options))
  }

  /**
   * Sends files (and streams), as `send` does. When it was interrupted - by a crash, `kill -9` or an abort - calling it
   * again with the same files goes on where it stopped: parts that the server has are not sent again. A file that
   * changed in the meantime is sent anew. Streams cannot be gone on with, nor can anything after a restart of the
   * machine, except whole files that were sent.
   *
   * Unlike `send`, a failure leaves what was sent on the server, for going on, until the server drops it.
   * @throws as `send`; `local_file`
   */
  async sendFiles(items: readonly (FileItem | SendItem)[], options: SendOptions = {}): Promise<SentFiles> {
    const prepared = await prepare(items)
    const journal = await this.#openJournal(prepared, options)
    if (!journal) return { ...(await this.send(prepared.map(toSendItem), options)), resumed: false }
    await using _ = journal
    await this.undo({
      owner: journal.parcel.owner,
      parcelId: null,
      items: journal.stale.map(upload => ({ upload, stored: null })),
    })
    const sent = await this.sendWith(journal, prepared.map(toSendItem), options)
    await this.#remembered(sent)
    await journal.remove()
    return { ...sent, resumed: journal.resumed }
  }

  /**
   * Receives all items into a folder, under safe names. One that fails leaves the others alone: look at `items`.
   * When it was interrupted, calling it again with the same folder goes on: what is there is not fetched again.
   * @throws as `open`; `aborted`; `local_file` when the folder cannot be used
   */
  async receive(link: string, options: ReceiveOptions): Promise<Received> {
    const { signal } = options
    return receiveFiles(link, await this.open(link, { ...(signal && { signal }) }), options)
  }

  /** As `Sealift.delete`; finds the owner secret of parcels that were sent or forwarded from here by itself. */
  override async delete(link: string, ownerSecret?: string, options: CallOptions = {}): Promise<boolean> {
    const { parcelId } = parseLink(link)
    const ended = await super.delete(link, ownerSecret ?? (await this.#owned?.secretOf(parcelId)), options)
    await this.#owned?.forget(parcelId)
    return ended
  }

  /** As `Sealift.forward`; keeps the owner secret, so that `delete` finds it. */
  override async forward(link: string, options: ForwardOptions = {}): Promise<Forwarded> {
    return this.#remembered(await super.forward(link, options))
  }

  /** What is published can be read: a secret that cannot be kept must not hide its link. */
  async #remembered<T extends Published>(published: T): Promise<T> {
    await this.#owned?.remember(published).catch((error: unknown) => {
      if (!isSealiftError(error)) throw error
    })
    return published
  }

  /** `null` when nothing is to be kept, nothing could be gone on with, or another process sends the same. */
  async #openJournal(prepared: readonly Prepared[], options: SendOptions): Promise<FileSendJournal | null> {
    if (this.#stateDirectory === false || this.#server === undefined) return null
    if (prepared.every(({ file }) => file === null)) return null
    const { ttlSeconds = null, maxDownloads = null, padding = true } = options
    const files = prepared.map(({ item, file }) => file && { name: item.name, source: file })
    const identity = { server: serverBase(this.#server), files, terms: [ttlSeconds, maxDownloads, padding] }
    return FileSendJournal.open(this.#stateDirectory, identity, this.suite)
  }
}

/** A client for Node. @throws RangeError, `invalid_request` as the constructor of `Sealift` */
export function createSealift(options: NodeSealiftOptions = {}): NodeSealift {
  return new NodeSealift(options)
}

interface Prepared {
  readonly item: FileItem | SendItem
  readonly file: FileSource | null
}

async function prepare(items: readonly (FileItem | SendItem)[]): Promise<Prepared[]> {
  const prepared: Prepared[] = []
  for (let at = 0; at < items.length; at += STAT_AT_ONCE) {
    const some = items.slice(at, at + STAT_AT_ONCE)
    prepared.push(
      ...(await Promise.all(
        some.map(async item => ({ item, file: 'path' in item ? await fileSource(item.path) : null })),
      )),
    )
  }
  return prepared
}

function toSendItem({ item, file }: Prepared): SendItem {
  if ('source' in item) return item
  const { path: _, ...described } = item
  if (!file) throw new TypeError('A file item has a file')
  return { ...described, source: file }
}

/** A suite or a transport of the caller's may not take the shared memory that goes with a thread. */
function threadFor({ suite, transport }: NodeSealiftOptions): HashThread | null {
  return suite || transport ? null : new HashThread(hashingInNode(nodeSuite))
}

function hashingInNode(suite: CryptoSuite): PartHashing {
  return hashingHere(suite, part => Promise.resolve(createHash('md5').update(part).digest()))
}

function connectionsFor({ parallel = 6, parallelSmall = 32 }: SealiftOptions): number {
  return parallel + parallelSmall + SPARE_CONNECTIONS
}
