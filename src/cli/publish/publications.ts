import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import * as z from 'zod'

import { LineJournal } from '../../client/node/state/line-journal.ts'
import { stateFolder } from '../../client/node/state/state-directory.ts'
import { isPassing } from '../../client/wire/retrier.ts'

const entrySchema = z.object({ path: z.string(), state: z.string(), link: z.string() })

/**
 * What of a folder has been published, so that a restart does not publish it again. Lies in the state directory,
 * readable by this user alone: it holds links. Its last line may be lost with the machine; then one file is published
 * once more.
 */
export class Publications implements AsyncDisposable {
  /** `null`: nothing is kept. */
  readonly #lines: LineJournal | null
  /** State of each file, by its path. */
  readonly #states: Map<string, string>

  private constructor(lines: LineJournal | null, states: Map<string, string>) {
    this.#lines = lines
    this.#states = states
  }

  /** @throws local_file */
  static async open(stateDirectory: string, folder: string, server: string): Promise<Publications> {
    const name = createHash('sha256')
      .update(JSON.stringify([await realpath(folder), server]))
      .digest('hex')
      .slice(0, 32)
    const path = join(await stateFolder(stateDirectory, 'published'), `${name}.jsonl`)
    const states = new Map<string, string>()
    for (const line of await LineJournal.read(path)) {
      const entry = entrySchema.safeParse(line).data
      if (entry) states.set(entry.path, entry.state)
    }
    return new Publications(await LineJournal.open(path), states)
  }

  /** For when the state directory cannot be used. */
  static forgetful(): Publications {
    return new Publications(null, new Map())
  }

  has(path: string, state: string): boolean {
    return this.#states.get(path) === state
  }

  async add(path: string, state: string, link: string): Promise<void> {
    this.#states.set(path, state)
    await this.#lines?.append({ path, state, link })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines?.[Symbol.asyncDispose]()
  }
}

export interface AttemptOptions {
  /** Pause after the first failure; doubles up to `capMs`, with jitter. */
  readonly baseMs: number
  readonly capMs: number
  readonly random: () => number
  readonly signal: AbortSignal
  readonly onPause: (error: unknown, waitMs: number) => void
}

/**
 * Runs `job` until it succeeds or fails for good. The SDK repeats single requests for minutes; this is for servers that
 * are away for longer.
 * @throws what is not worth another attempt; the abort
 */
export async function untilDone<T>(job: () => Promise<T>, options: AttemptOptions): Promise<T> {
  const { baseMs, capMs, random, signal } = options
  for (let failures = 0; ; failures += 1) {
    try {
      return await job()
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error
      const bound = Math.min(capMs, baseMs * 2 ** Math.min(failures, 20))
      const waitMs = Math.ceil(bound / 2 + (random() * bound) / 2)
      options.onPause(error, waitMs)
      await sleep(waitMs, undefined, { signal })
    }
  }
}
