import { createHash } from 'node:crypto'

import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { nodeSuite } from '../../sealing/node-suite.ts'
import { parseLink, serverBase } from '../link.ts'
import type {
  CallOptions,
  Forwarded,
  ForwardOptions,
  Published,
  SealiftOptions,
  SendItem,
  SendOptions,
  Sent,
} from '../api/options.ts'
import { Sealift } from '../sealift.ts'
import { hashingHere } from '../send/part-hashing.ts'
import type { PartHashing } from '../send/part-hashing.ts'
import type { ServerCredential } from '../wire/credential.ts'
import { fileSource, fileStream } from './files/file-source.ts'
import type { FileSource } from './files/file-source.ts'
import { withType } from './files/list-files.ts'
import type { FileItem } from './files/list-files.ts'
import { HashThread } from './hash-thread.ts'
import { LocalCredential } from './state/local-credential.ts'
import { OwnedParcels } from './state/owned-parcels.ts'
import type { OwnedPlace } from './state/owned-parcels.ts'
import { receiveFiles } from './receive/receive-files.ts'
import type { Received, ReceiveOptions } from './receive/receive-files.ts'
import { forgetReceive } from './receive/receive-journal.ts'
import { FileSendJournal } from './send/file-send-journal.ts'
import { defaultStateDirectory } from './state/state-directory.ts'
import { undiciTransport } from './transport/undici-transport.ts'

/** Connections beside those that carry bytes: half as many again for receiving; begin, complete, publish. */
const SPARE_CONNECTIONS = 26
/** The same send would end in the same way. */
const REFUSED_FOR_GOOD = ['too_large', 'quota_exceeded', 'invalid_request', 'forbidden'] as const
/** Files looked at once. */
const STAT_AT_ONCE = 32

/** As `SealiftOptions`, and where journals are kept. */
export interface NodeSealiftOptions extends SealiftOptions {
  /**
   * Where journals of unfinished sends and the owner secrets of sent parcels are stored, readable by this user alone.
   * Default `$XDG_STATE_HOME/sealift`, else `~/.local/state/sealift`. `false`: nothing is stored, no send resumes. The
   * token of a server on this machine is read from the default in any case.
   */
  readonly stateDirectory?: string | false
  /**
   * Called, once, when the state directory is not usable. Transfers go on, but cannot be resumed, and an owner secret
   * is only in the result of the call. `context.path` is the path.
   */
  readonly onStateFailure?: (error: SealiftError) => void
}

/** What `sendFiles` returns. */
export interface SentFiles extends Sent {
  /** True when an earlier, unfinished send of the same files was resumed. */
  readonly resumed: boolean
}

/** How `delete` of Node deletes. */
export interface DeleteOptions extends CallOptions {
  /**
   * The server that the parcel was sent to. Needed only for owner secrets that earlier versions stored without their
   * server: they are used if the link is of that server.
   */
  readonly server?: string
}

/** A Sealift client with files, journals and the faster transport. Dispose it to close its connections. */
export class NodeSealift extends Sealift {
  readonly #server: string | undefined
  readonly #stateDirectory: string | false
  readonly #owned: OwnedParcels | null
  readonly #thread: HashThread | null
  readonly #onStateFailure: (error: SealiftError) => void
  #hasReportedStateFailure = false
  /** One for each server, so that its file is read once. */
  readonly #local = new Map<string, LocalCredential | null>()

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
    this.#onStateFailure = options.onStateFailure ?? (() => undefined)
    this.#stateDirectory = options.stateDirectory ?? defaultStateDirectory()
    this.#owned = this.#stateDirectory === false ? null : new OwnedParcels(this.#stateDirectory)
  }

  /** Without a given token: the token that a server on this machine left for this user. */
  protected override credentialOf(server: string): ServerCredential {
    if (this.tokenFor(server) !== null) return super.credentialOf(server)
    const known = this.#local.get(server) ?? LocalCredential.for(defaultStateDirectory(), server)
    this.#local.set(server, known)
    return known ?? super.credentialOf(server)
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]()
    await this.#thread?.[Symbol.asyncDispose]()
  }

  /** As `Sealift.send`; stores the owner secret, so that `delete` finds it. */
  override async send(items: Iterable<SendItem>, options: SendOptions = {}): Promise<Sent> {
    return this.#remembered(await super.send(items, options))
  }

  /**
   * Sends files (and streams), as `send` does; a file without a `type` has that of its content. When it was interrupted
   * by a crash, `kill -9` or an abort, calling it again with the same files resumes it: parts that the server has are
   * not sent again. A file that has changed since is sent again. Streams are not resumed, and after a restart of the
   * machine only files that were sent completely are.
   *
   * Unlike `send`, a failure leaves what was sent on the server, to be resumed, until the server drops it. A failure
   * that would repeat, such as a quota, deletes it.
   * @throws as `send`; `local_file`
   */
  async sendFiles(items: readonly (FileItem | SendItem)[], options: SendOptions = {}): Promise<SentFiles> {
    const prepared = await prepare(items, options.times ?? true)
    const journal = await this.#openJournal(prepared, options)
    if (!journal)
      return {
        ...(await this.send(
          prepared.map(({ item }) => item),
          options,
        )),
        resumed: false,
      }
    await using _ = journal
    await this.undo({
      owner: journal.parcel.owner,
      parcelId: null,
      items: journal.stale.map(upload => ({ upload, stored: null })),
    })
    const sent = await this.#sendOrFree(journal, prepared, options)
    await this.#remembered(sent)
    await journal.remove()
    return { ...sent, resumed: journal.resumed }
  }

  /**
   * Receives all items into a folder, under safe names. A failed item does not stop the others: look at `items`.
   * When it was interrupted, calling it again with the same folder resumes it: stored bytes are not fetched again.
   * @throws as `open`; `aborted`; `local_file` when the folder cannot be used
   */
  async receive(link: string, options: ReceiveOptions): Promise<Received> {
    const { signal, directory } = options
    const stateDirectory = this.#stateDirectory
    try {
      const parcel = await this.open(link, { ...(signal && { signal }) })
      return await receiveFiles(parcel, { link, stateDirectory, onStateFailure: this.#stateFailed }, options)
    } catch (error) {
      if (stateDirectory !== false && isSealiftError(error, 'gone')) {
        await forgetReceive(stateDirectory, directory, link).catch(() => undefined)
      }
      throw error
    }
  }

  /**
   * As `Sealift.delete`; finds the owner secret of parcels that were sent or forwarded from here. A secret is only sent
   * to the server it belongs to, whatever the link says.
   * @throws `forbidden` also when the only stored secret of this id is of another or an unknown server
   */
  override async delete(link: string, ownerSecret?: string, options: DeleteOptions = {}): Promise<boolean> {
    const { server, parcelId } = parseLink(link)
    const place = { server, parcelId }
    const vouched = options.server === undefined ? undefined : serverBase(options.server)
    const kept = ownerSecret === undefined ? await this.#owned?.secretOf(place, vouched) : undefined
    try {
      const ended = await super.delete(link, ownerSecret ?? kept, options)
      await this.#owned?.forget(place, vouched)
      return ended
    } catch (error) {
      if (!isSealiftError(error, 'not_found') || ownerSecret !== undefined || kept !== undefined) throw error
      throw (await this.#ownedElsewhere(place, error)) ?? error
    }
  }

  /** As `Sealift.forward`; stores the owner secret, so that `delete` finds it. */
  override async forward(link: string, options: ForwardOptions = {}): Promise<Forwarded> {
    return this.#remembered(await super.forward(link, options))
  }

  async #ownedElsewhere(place: OwnedPlace, cause: unknown): Promise<SealiftError | null> {
    const { servers = [], withoutServer = false } = (await this.#owned?.elsewhere(place)) ?? {}
    if (servers.length === 0 && !withoutServer) return null
    const reason = withoutServer
      ? 'its owner secret was kept by an earlier version without its server: name the server that it was sent to'
      : `it was sent from here to ${servers.join(', ')}, whose owner secret goes to no other server`
    return new SealiftError('forbidden', `Not deleted from ${place.server}: ${reason}`, {
      cause,
      context: { ownedBy: servers },
    })
  }

  async #sendOrFree(journal: FileSendJournal, prepared: readonly Prepared[], options: SendOptions): Promise<Sent> {
    try {
      const items = prepared.map(({ item }) => item)
      return await this.sendWith(journal, items, options)
    } catch (error) {
      if (isSealiftError(error, ...REFUSED_FOR_GOOD)) {
        const parcelId = journal.published?.parcelId ?? null
        await this.undo({ owner: journal.parcel.owner, parcelId, items: journal.items })
        await journal.remove()
      }
      throw error
    }
  }

  /** The parcel is published: failing to store its secret must not hide its link. */
  async #remembered<T extends Published>(published: T): Promise<T> {
    await this.#owned?.remember(published).catch(this.#stateFailed)
    return published
  }

  /** Reports one failure for one directory. */
  readonly #stateFailed = (error: unknown): null => {
    if (!isSealiftError(error, 'local_file')) throw error
    if (!this.#hasReportedStateFailure) this.#onStateFailure(error)
    this.#hasReportedStateFailure = true
    return null
  }

  /** `null` when nothing is stored or could be resumed, or when another process sends the same files. */
  async #openJournal(prepared: readonly Prepared[], options: SendOptions): Promise<FileSendJournal | null> {
    if (this.#stateDirectory === false || this.#server === undefined) return null
    if (prepared.every(({ file }) => file === null)) return null
    const { ttlSeconds = null, maxDownloads = null, padding = true } = options
    const files = prepared.map(({ item, file }) => file && { name: item.name, source: file })
    const identity = { server: serverBase(this.#server), files, terms: [ttlSeconds, maxDownloads, padding] }
    const settings = { suite: this.suite, onFailure: this.#stateFailed }
    return FileSendJournal.open(this.#stateDirectory, identity, settings).catch(this.#stateFailed)
  }
}

/** A client for Node. @throws RangeError, `invalid_request` as the constructor of `Sealift` */
export function createSealift(options: NodeSealiftOptions = {}): NodeSealift {
  return new NodeSealift(options)
}

/** An item, and its file if the send of it can be resumed. */
interface Prepared {
  readonly item: SendItem
  readonly file: FileSource | null
}

async function prepare(items: readonly (FileItem | SendItem)[], times: boolean): Promise<Prepared[]> {
  const prepared: Prepared[] = []
  for (let at = 0; at < items.length; at += STAT_AT_ONCE) {
    const some = items.slice(at, at + STAT_AT_ONCE)
    prepared.push(...(await Promise.all(some.map(item => prepareItem(item, times)))))
  }
  return prepared
}

async function prepareItem(item: FileItem | SendItem, times: boolean): Promise<Prepared> {
  if (!('path' in item)) return { item, file: null }
  const { path, listed, film, pictures, ...described } = await withType(item)
  const file = await fileSource(path, listed)
  // A file that can be read only once, to its end, is sent as a stream.
  if (!file.sizeIsTrue) return { item: { ...described, source: fileStream(file) }, file: null }
  const modifiedAt = times ? timeOf(file) : null
  const told = modifiedAt === null ? {} : { modifiedAt }
  const made = { ...told, ...(film && { film }), ...(pictures && { pictures }) }
  return { item: { ...described, ...made, source: file }, file }
}

/** `null` for times that no date can tell. */
function timeOf({ stamp }: FileSource): string | null {
  const date = new Date(Math.floor(Number(stamp.mtimeNs) / 1e6))
  const isTold = Number.isFinite(date.getTime()) && /^\d{4}-/.test(date.toISOString())
  return isTold ? date.toISOString() : null
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
