import { Sealift } from '../sealift.ts'
import type { ForwardOptions, Sent } from '../sealift.ts'
import type {
  CallOptions,
  LeaseOptions,
  Published,
  SealiftOptions,
  SendItem,
  SendOptions,
  TransferOptions,
} from '../options.ts'
import type { Parcel, ParcelItem } from '../parcel.ts'

export interface NodeSealiftOptions extends SealiftOptions {
  /**
   * Where journals of unfinished sends and the owner secrets of sent parcels are kept, readable by this user alone.
   * Default `$XDG_STATE_HOME/sealift`, else `~/.local/state/sealift`. `false`: nothing is kept, nothing resumes.
   */
  readonly stateDirectory?: string | false
}

/** A file to send. */
export interface FileItem extends Omit<SendItem, 'source'> {
  readonly path: string
}

export interface SentFiles extends Sent {
  /** True when an earlier, unfinished send of the same files was gone on with. */
  readonly resumed: boolean
}

export interface ReceiveOptions extends TransferOptions {
  /** Created when absent. Nothing is written outside it, and nothing in it is overwritten. */
  readonly directory: string
  /** Which items to receive. Default: all. */
  readonly only?: (item: ParcelItem) => boolean
}

/** How one item of `receive` ended. Of a failed one nothing stays on disk, unless it can be resumed. */
export interface ReceivedItem {
  readonly item: ParcelItem
  /** Where it is now; `null` when it failed. */
  readonly path: string | null
  readonly error: Error | null
}

export interface Received {
  readonly parcel: Parcel
  readonly items: readonly ReceivedItem[]
  /** True when every item is there. */
  readonly complete: boolean
}

/** A Sealift client with files, journals and the faster transport. Dispose it to close its connections. */
export class NodeSealift extends Sealift {
  constructor(options: NodeSealiftOptions) {
    super(options)
  }

  /**
   * Sends files (and streams), as `send` does. When it was interrupted - by a crash, `kill -9` or an abort - calling it
   * again with the same files goes on where it stopped: parts that the server has are not sent again. A file that
   * changed in the meantime is sent anew. Streams cannot be gone on with.
   *
   * Unlike `send`, a failure leaves what was sent on the server, for going on, until the server drops it.
   */
  sendFiles(items: readonly (FileItem | SendItem)[], options: SendOptions = {}): Promise<SentFiles> {
    return Promise.reject(new Error(`not built yet ${items.length} ${String(options)}`))
  }

  /**
   * Receives all items into a folder, under safe names. One that fails leaves the others alone: look at `items`.
   * When it was interrupted, calling it again with the same folder goes on: what is there is not fetched again.
   * @throws as `open`; `aborted`; `local_file` when the folder cannot be used
   */
  receive(link: string, options: ReceiveOptions): Promise<Received> {
    return Promise.reject(new Error(`not built yet ${link} ${String(options)}`))
  }

  /** As `Sealift.delete`; finds the owner secret of parcels that were sent or forwarded from here by itself. */
  override delete(link: string, ownerSecret?: string, options: CallOptions = {}): Promise<void> {
    return super.delete(link, ownerSecret, options)
  }

  override forward(link: string, options: ForwardOptions = {}): Promise<Published> {
    return super.forward(link, options)
  }
}

export type { LeaseOptions }

/** A client for Node. */
export function createSealift(options: NodeSealiftOptions = {}): NodeSealift {
  return new NodeSealift(options)
}

/**
 * The files behind paths, in order: a folder stands for everything in it, named `folder/…`. Symbolic links given by
 * name are followed; those met inside a folder are left out, as is everything that is no regular file.
 * @throws local_file
 */
export function listFiles(paths: readonly string[], options: CallOptions = {}): Promise<FileItem[]> {
  return Promise.reject(new Error(`not built yet ${paths.length} ${String(options)}`))
}
