/**
 * What is asked of Valkey while an answer is on its way goes out together with the next call: one script at a time,
 * however many ask. That keeps the order, and costs less the more there is to do.
 */
export interface ScriptBatchOptions<Ask, Answer> {
  /** Answers in the order of what was asked. */
  readonly send: (asked: readonly Ask[]) => Promise<readonly Answer[]>
  /** Asked at once at most: a script that runs long holds up everybody. */
  readonly max?: number
}

interface Pending<Ask, Answer> {
  readonly ask: Ask
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: unknown) => void
}

export class ScriptBatch<Ask, Answer> {
  readonly #send: ScriptBatchOptions<Ask, Answer>['send']
  readonly #max: number
  #pending: Pending<Ask, Answer>[] = []
  #pumping: Promise<void> | null = null

  constructor({ send, max = 200 }: ScriptBatchOptions<Ask, Answer>) {
    this.#send = send
    this.#max = max
  }

  ask(ask: Ask): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#pending.push({ ask, resolve, reject })
    this.#pumping ??= this.#pump()
    return promise
  }

  /** Resolves when everything asked so far is answered. */
  async idle(): Promise<void> {
    while (this.#pumping) await this.#pumping
  }

  async #pump(): Promise<void> {
    // What is asked in the same turn goes along.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const batch = this.#pending.splice(0, this.#max)
      try {
        const answers = await this.#send(batch.map(({ ask }) => ask))
        for (const [index, { resolve, reject }] of batch.entries()) {
          const answer = answers[index]
          if (answer === undefined) reject(new Error('The script left something unanswered'))
          else resolve(answer)
        }
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    // In the turn in which nothing was pending: what an answer makes somebody ask, right after, must find no pump.
    this.#pumping = null
  }
}
