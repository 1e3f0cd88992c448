import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'

import type { ReceiveMemory } from './receive-memory.ts'

/**
 * The body of an answer: taken piece by piece with `next`, without a stream's steps for each of them, or read as a
 * stream, as the SDK does with errors; never both. What is not taken is not received either, but for one piece.
 */
export class AnswerBody extends Readable {
  readonly #memory: ReceiveMemory | undefined
  readonly #controller: Dispatcher.DispatchController
  #held: Uint8Array[] = []
  #ended = false
  #waiter: PromiseWithResolvers<Uint8Array | null> | null = null

  constructor(memory: ReceiveMemory | undefined, controller: Dispatcher.DispatchController) {
    super()
    this.#memory = memory
    this.#controller = controller
  }

  /**
   * The next piece, `null` after the last one. It is the caller's, to be given back to the memory it came in. One call
   * at a time. @throws why the body broke off, or was destroyed
   */
  next(): Promise<Uint8Array | null> {
    const piece = this.#held.shift()
    if (piece) {
      this.#receiveMore()
      return Promise.resolve(piece)
    }
    if (this.#ended) return Promise.resolve(null)
    if (this.destroyed) return Promise.reject(this.errored ?? new Error('The body was destroyed'))
    this.#waiter = Promise.withResolvers()
    return this.#waiter.promise
  }

  /** Told by the connection. */
  arrived(piece: Uint8Array): void {
    // The parser has such ones when it goes on after a pause; they are all views of the same memory.
    if (piece.length === 0) return
    if (this.destroyed) return this.#memory?.release(piece)
    if (this.#waiter) return this.#settle(piece)
    this.#held.push(piece)
    this.#controller.pause()
  }

  /** Told by the connection. */
  ended(): void {
    this.#ended = true
    if (this.#waiter) this.#settle(null)
  }

  override _read(): void {
    this.next().then(
      piece => this.push(piece),
      (error: unknown) => this.destroy(error as Error),
    )
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const reason = error ?? new Error('The body was destroyed')
    if (!this.#ended) this.#controller.abort(reason)
    for (const piece of this.#held.splice(0)) this.#memory?.release(piece)
    this.#waiter?.reject(reason)
    this.#waiter = null
    done(error)
  }

  #settle(piece: Uint8Array | null): void {
    this.#waiter?.resolve(piece)
    this.#waiter = null
  }

  #receiveMore(): void {
    if (this.#controller.paused) this.#controller.resume()
  }
}
