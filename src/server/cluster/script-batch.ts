/**
 * Batches calls of one script: what is asked while a call is in flight goes out with the next one. One call at a time
 * preserves the order, and the more there is to do, the less each item costs.
 */
export interface ScriptBatchOptions<Item, Reply> {
  /** Resolves with one reply per item, in their order. */
  readonly send: (items: readonly Item[]) => Promise<readonly Reply[]>
  /** Most items per call: a long script blocks Valkey for every client. Default 200. */
  readonly max?: number
}

interface Pending<Item, Reply> {
  readonly item: Item
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: unknown) => void
}

export class ScriptBatch<Item, Reply> {
  readonly #send: ScriptBatchOptions<Item, Reply>['send']
  readonly #max: number
  #pending: Pending<Item, Reply>[] = []
  #pumping: Promise<void> | null = null

  constructor({ send, max = 200 }: ScriptBatchOptions<Item, Reply>) {
    this.#send = send
    this.#max = max
  }

  ask(item: Item): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>()
    this.#pending.push({ item, resolve, reject })
    this.#pumping ??= this.#pump()
    return promise
  }

  /** Resolves when every item has its reply. */
  async idle(): Promise<void> {
    while (this.#pumping) await this.#pumping
  }

  async #pump(): Promise<void> {
    // Collects what is asked in the same turn.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, this.#max)
      try {
        const replies = await this.#send(batch.map(({ item }) => item))
        for (const [index, { resolve, reject }] of batch.entries()) {
          const reply = replies[index]
          if (reply === undefined) reject(new Error('The script returned too few replies'))
          else resolve(reply)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    // In the turn in which nothing was pending: code that runs on a reply and asks again must start a new pump.
    this.#pumping = null
  }
}
