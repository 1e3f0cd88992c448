import { SealiftError } from '../../../protocol/errors.ts'

/** Why a part's request is ended while it still sends, on whichever node that is noticed. */
export const takenOver = (): SealiftError => new SealiftError('unavailable', 'Another request sends this part by now')
export const givenUp = (): SealiftError => new SealiftError('gone', 'The upload was given up')
export const completedWithout = (): SealiftError =>
  new SealiftError('upload_complete', 'The upload was completed without this part')

interface Holder {
  readonly controller: AbortController
  readonly settled: Promise<void>
}

/**
 * Who is writing which part right now. One part has one writer; a newer request for the same part takes over, since
 * the older one is most likely a connection that died without telling.
 */
export class PartsInFlight {
  readonly #uploads = new Map<string, Map<number, Holder>>()

  /** Runs `write` as the only writer of this part; its signal aborts when another takes over or the upload ends. */
  async exclusive<T>(uploadId: string, index: number, write: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const earlier = this.#uploads.get(uploadId)?.get(index)
    const controller = new AbortController()
    const { promise: settled, resolve: settle } = Promise.withResolvers<void>()
    const holder = { controller, settled }
    this.#partsOf(uploadId).set(index, holder)
    earlier?.controller.abort(takenOver())
    try {
      await earlier?.settled
      controller.signal.throwIfAborted()
      return await write(controller.signal)
    } finally {
      settle()
      this.#release(uploadId, index, holder)
    }
  }

  /** Stops every writer of an upload and waits until none touches its bytes any more. */
  async stopAll(uploadId: string, reason: SealiftError): Promise<void> {
    const holders = [...(this.#uploads.get(uploadId)?.values() ?? [])]
    for (const { controller } of holders) controller.abort(reason)
    await Promise.all(holders.map(({ settled }) => settled))
  }

  #partsOf(uploadId: string): Map<number, Holder> {
    const known = this.#uploads.get(uploadId)
    if (known) return known
    const parts = new Map<number, Holder>()
    this.#uploads.set(uploadId, parts)
    return parts
  }

  #release(uploadId: string, index: number, holder: Holder): void {
    const parts = this.#uploads.get(uploadId)
    if (parts?.get(index) !== holder) return
    parts.delete(index)
    if (parts.size === 0) this.#uploads.delete(uploadId)
  }
}
