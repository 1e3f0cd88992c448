import type { Limits } from '../protocol/schemas.ts'
import type { CallOptions, LeaseOptions, Published, SealiftOptions, SendItem, SendOptions } from './options.ts'
import type { Parcel } from './parcel.ts'

/** What `send` gives back. */
export interface Sent extends Published {
  readonly items: number
  /** Plaintext bytes of all items. */
  readonly bytes: number
}

export interface ForwardOptions extends LeaseOptions, CallOptions {}

/**
 * A Sealift client. Holds no state but connections, so one is enough for a program; dispose it when done.
 * In Node, `createSealift` of `sealift/node` makes one that is faster and that resumes across processes.
 */
export class Sealift implements AsyncDisposable {
  protected readonly options: SealiftOptions

  constructor(options: SealiftOptions) {
    this.options = options
  }

  /**
   * Seals and sends items in parallel, small ones first, and publishes them as one parcel.
   * Memory stays bounded by `parallel` × the size of a part, whatever the sizes of the items.
   *
   * When it fails, what was sent is deleted from the server again, and the parcel too.
   * @throws `aborted`, `network`, `file_changed`, and what the server refuses: `too_large`, `quota_exceeded`, …
   */
  send(items: Iterable<SendItem>, options: SendOptions = {}): Promise<Sent> {
    return Promise.reject(new Error(`not built yet ${String(items)} ${String(options)}`))
  }

  /**
   * Reads what a link holds; no item is downloaded yet.
   * @throws `invalid_link`, `not_found`, `gone`, `damaged_media` (wrong key), `invalid_manifest`, `unsupported_version`
   */
  open(link: string, options: CallOptions = {}): Promise<Parcel> {
    return Promise.reject(new Error(`not built yet ${link} ${String(options)}`))
  }

  /**
   * Makes a new link to the same items: new leases, a new manifest under a new key, no bytes moved.
   * All items must be complete.
   * @throws as `open`; `upload_in_progress`, `downloads_exhausted`, `quota_exceeded`
   */
  forward(link: string, options: ForwardOptions = {}): Promise<Published> {
    return Promise.reject(new Error(`not built yet ${link} ${String(options)}`))
  }

  /**
   * Deletes a parcel and ends the leases it covers. Repeating it is no error.
   * @param ownerSecret of `send` or `forward`; not needed when the same token made the parcel
   * @throws `not_found` also when it is another's
   */
  delete(link: string, ownerSecret?: string, options: CallOptions = {}): Promise<void> {
    return Promise.reject(new Error(`not built yet ${link} ${ownerSecret} ${String(options)}`))
  }

  /** What the server allows this client, what it uses and what is left. */
  limits(options: CallOptions = {}): Promise<Limits> {
    return Promise.reject(new Error(`not built yet ${String(options)}`))
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
