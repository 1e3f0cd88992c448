import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { askPartAddress, confirmPart, endDirect } from '../wire/direct.ts'
import type { DirectPart } from '../wire/direct.ts'
import { SentBytes } from '../wire/http.ts'
import type { Server } from '../wire/http.ts'
import type { DirectAddress } from '../../protocol/response-readers.ts'
import type { StoreConnection } from '../transport/store-connection.ts'

/** Tries at the store for one part; after that it goes through the server. */
const TRIES = 3

export interface PartForStore {
  readonly part: DirectPart
  readonly sealed: Uint8Array<ArrayBuffer>
  readonly onSent?: ((bytes: number) => void) | undefined
}

/** `sent`; `had`: the server had it, with these bytes; `refused`: it has to go through the server. */
export type DirectOutcome = 'sent' | 'had' | 'refused'

/** Puts one part into the store, past the server. @throws what the server refuses; the abort */
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
  #address: DirectAddress | null = null
  /** The store has taken it; it does not count yet. */
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
      this.#address ??= await askPartAddress(this.#server, part, signal)
      if (this.#address === null) return 'had'
      this.#slot = this.#address.transferId
      if (!(await this.#put(this.#address, signal))) return this.#again()
    }
    this.#stored = await confirmPart(this.#server, part, signal)
    if (!this.#stored) return this.#again()
    this.#slot = null
    this.#store.worked()
    return 'sent'
  }

  async #put(address: DirectAddress, signal: AbortSignal): Promise<boolean> {
    this.#tries += 1
    const onSent = (bytes: number): void => this.#sent.add(bytes)
    const answer = await this.#store.request({ method: 'PUT', address, body: this.#given.sealed, onSent, signal })
    if (answer === 'refused') this.#address = null
    // What is there counts if it is this very part; else an address replaces nothing, and the server has to.
    if (answer === 'taken') this.#tries = TRIES
    else if (typeof answer === 'string') return false
    else await answer.discard()
    this.#stored = true
    return true
  }

  /** Another try is worth it with a new address, or at a store that has worked before. */
  #again(): DirectOutcome {
    this.#sent.takeBack()
    const expired = this.#address === null
    // An address that came too late says nothing of the store.
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
