import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { requestPartUrl, confirmPart, endDirect } from '../wire/direct.ts'
import type { DirectPart } from '../wire/direct.ts'
import { SentBytes } from '../wire/http.ts'
import type { Server } from '../wire/http.ts'
import type { DirectAddress } from '../../protocol/response-readers.ts'
import type { StoreConnection } from '../transport/store-connection.ts'

/** Attempts at the store for one part; then it goes through the server. */
const TRIES = 3

export interface PartForStore {
  readonly part: DirectPart
  readonly sealed: Uint8Array<ArrayBuffer>
  readonly onSent?: ((bytes: number) => void) | undefined
}

/** `sent`; `had`: the server had it, with these bytes; `refused`: it has to go through the server. */
export type DirectOutcome = 'sent' | 'had' | 'refused'

/** Uploads one part directly to the store. @throws the server's refusal; the abort */
export async function sendPartDirectly(
  server: Server,
  store: StoreConnection,
  given: PartForStore,
  signal: AbortSignal,
): Promise<DirectOutcome> {
  const upload = new StoreUpload(server, store, given)
  try {
    return await server.retrier.run(signal, () => upload.attempt(signal))
  } catch (error) {
    // A part that the store does not take goes through the server.
    if (isSealiftError(error, 'not_direct') || (upload.storeFailed && !signal.aborted)) return 'refused'
    throw error
  } finally {
    await upload.close()
  }
}

class StoreUpload {
  storeFailed = false
  readonly #server: Server
  readonly #store: StoreConnection
  readonly #given: PartForStore
  readonly #sent: SentBytes
  #presigned: DirectAddress | null = null
  /** The store has the part; the server has not confirmed it. */
  #stored = false
  #slot: string | null = null
  #tries = 0

  constructor(server: Server, store: StoreConnection, given: PartForStore) {
    this.#server = server
    this.#store = store
    this.#given = given
    this.#sent = new SentBytes(given.onSent)
  }

  async attempt(signal: AbortSignal): Promise<DirectOutcome> {
    const { part } = this.#given
    this.storeFailed = false
    if (!this.#stored) {
      if (!this.#store.isOpen || this.#tries === TRIES) return 'refused'
      this.#presigned ??= await requestPartUrl(this.#server, part, signal)
      if (this.#presigned === null) return 'had'
      this.#slot = this.#presigned.transferId
      if (!(await this.#put(this.#presigned, signal))) return this.#again()
    }
    this.#stored = await confirmPart(this.#server, part, signal)
    if (!this.#stored) return this.#again()
    this.#slot = null
    this.#store.worked()
    return 'sent'
  }

  async #put(presigned: DirectAddress, signal: AbortSignal): Promise<boolean> {
    this.#tries += 1
    const onSent = (bytes: number): void => this.#sent.add(bytes)
    const response = await this.#store.request({ method: 'PUT', presigned, body: this.#given.sealed, onSent, signal })
    if (response === 'refused') this.#presigned = null
    // The stored object counts if it is this part. A presigned URL replaces nothing, so else the server has to.
    if (response === 'taken') this.#tries = TRIES
    else if (typeof response === 'string') return false
    else await response.discard()
    this.#stored = true
    return true
  }

  /** Retries with a new URL, or at a store that has worked before. */
  #again(): DirectOutcome {
    this.#sent.takeBack()
    const expired = this.#presigned === null
    // An expired URL does not mean that the store has failed.
    if (!expired || this.#tries === TRIES) this.#store.failed()
    if (!expired && !this.#store.hasWorked) return 'refused'
    this.storeFailed = true
    throw new SealiftError('network', 'The store did not take a part')
  }

  /** Corrects the progress of a part that did not arrive, and releases its slot. */
  async close(): Promise<void> {
    if (this.#slot === null) return
    this.#sent.takeBack()
    await endDirect(this.#server, this.#slot)
  }
}
