import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { join } from 'node:path'

import * as z from 'zod'

import { LineJournal } from '../../client/node/state/line-journal.ts'
import { stateFolder } from '../../client/node/state/state-directory.ts'

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
