/**
 * The journal of one `receive`, in the folder that is received into: which ranges of which partial file are there, and
 * which items are done. Deleted when all are.
 *
 * Bytes are written before their range is noted, and neither is synced: a process that is killed loses nothing, for
 * both are with the operating system. When the machine went down, nobody knows which of them reached the disk. So
 * ranges count only within the same run of the system; after another boot an item begins anew. One that had its name
 * already, and was not synced before it got it, is compared with what it should be.
 */
import { rm } from 'node:fs/promises'
import { join, relative, resolve, sep } from 'node:path'

import * as z from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { PlainRange } from '../options.ts'
import { merged } from '../receive/runs.ts'
import { LineJournal } from './line-journal.ts'
import { isPartialPath } from './partial-file.ts'
import { isRunning, ownIdentity, processIdentitySchema } from './process-identity.ts'
import type { ProcessIdentity } from './process-identity.ts'

const entrySchema = z.union([
  z.object({ process: processIdentitySchema.nullable() }),
  z.object({ item: z.string(), range: z.tuple([z.int().min(0), z.int().min(0)]) }),
  z.object({ item: z.string(), grant: z.string() }),
  z.object({ item: z.string(), named: z.string(), ino: z.string(), sync: z.boolean() }),
  z.object({ item: z.string(), dropped: z.literal(true) }),
  z.object({ item: z.string(), partial: z.string() }),
])

type Entry = z.infer<typeof entrySchema>

export interface NamedFile {
  readonly path: string
  readonly ino: string
  /** False when the machine was started anew since: what the file holds is uncertain. */
  readonly sure: boolean
}

/** What is known of one item. */
export interface ReceivedState {
  /** Plaintext ranges in the partial file. */
  readonly finished: readonly PlainRange[]
  readonly grant: string | null
  /** The path it got, or was about to get, in the folder; and the inode that had to be there. */
  readonly named: NamedFile | null
}

interface Recorded {
  readonly directory: string
  readonly items: ReadonlyMap<string, ReceivedState>
  readonly partials: Set<string>
}

interface State {
  finished: PlainRange[]
  grant: string | null
  named: ReceivedState['named']
}

export class ReceiveJournal implements AsyncDisposable {
  readonly #lines: LineJournal
  readonly #items: ReadonlyMap<string, ReceivedState>
  readonly #directory: string
  /** Hidden files that are of no use once everything is there, relative to the folder. */
  readonly #partials: Set<string>

  private constructor(lines: LineJournal, { directory, items, partials }: Recorded) {
    this.#lines = lines
    this.#items = items
    this.#directory = directory
    this.#partials = partials
  }

  /**
   * @param parcel tells this parcel from others that are received into the same folder
   * @throws local_file, also when another process is receiving the same into the same folder
   */
  static async open(directory: string, parcel: string): Promise<ReceiveJournal> {
    const path = join(directory, `.${parcel}.sealift-journal`)
    const own = await ownIdentity()
    const entries = (await LineJournal.read(path)).flatMap(line => entrySchema.safeParse(line).data ?? [])
    const holder = entries.findLast(entry => 'process' in entry)?.process
    if (holder && (await isRunning(holder))) {
      throw new SealiftError('local_file', 'This is being received into the same folder already', {
        context: { path: directory },
      })
    }
    const lines = await LineJournal.open(path)
    await lines.append({ process: own })
    const partials = new Set(entries.flatMap(entry => ('partial' in entry ? [entry.partial] : [])))
    return new ReceiveJournal(lines, { directory, items: replay(entries, own), partials })
  }

  recall(item: string): ReceivedState {
    return this.#items.get(item) ?? { finished: [], grant: null, named: null }
  }

  async finished(item: string, range: PlainRange): Promise<void> {
    await this.#lines.append({ item, range: [range.start, range.end] })
  }

  async granted(item: string, grant: string): Promise<void> {
    await this.#lines.append({ item, grant })
  }

  /** Before an item is given its name. */
  async naming(item: string, { path, ino, sync }: { path: string; ino: string; sync: boolean }): Promise<void> {
    await this.#lines.append({ item, named: path, ino, sync })
  }

  async dropped(item: string): Promise<void> {
    await this.#lines.append({ item, dropped: true })
  }

  /**
   * Before a hidden file is made that nobody may find again: what is still being sent may be sent anew, and has another
   * id then.
   */
  async opened(item: string, path: string): Promise<void> {
    const partial = relative(this.#directory, path)
    if (this.#partials.has(partial)) return
    this.#partials.add(partial)
    await this.#lines.append({ item, partial })
  }

  /** Deletes it, and the hidden files that it tells of: there is nothing left to go on with. */
  async remove(): Promise<void> {
    for (const partial of this.#partials) {
      const path = resolve(this.#directory, partial)
      if (!path.startsWith(`${this.#directory}${sep}`) || !isPartialPath(path)) continue
      await rm(path, { force: true }).catch(() => undefined)
    }
    await this.#lines.remove()
  }

  /** Leaves it to whoever receives the same again. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.append({ process: null }).catch(() => undefined)
    await this.#lines[Symbol.asyncDispose]()
  }
}

function replay(entries: readonly Entry[], own: ProcessIdentity): ReadonlyMap<string, ReceivedState> {
  const states = new Map<string, State>()
  let boot = ''
  for (const entry of entries) {
    if ('process' in entry) boot = entry.process?.boot ?? boot
    else apply(stateOf(states, entry.item), entry, boot === own.boot)
  }
  for (const state of states.values()) state.finished = merged(state.finished)
  return states
}

function apply(state: State, entry: Exclude<Entry, { process: unknown }>, sameBoot: boolean): void {
  if ('range' in entry && sameBoot) state.finished.push({ start: entry.range[0], end: entry.range[1] })
  if ('grant' in entry) state.grant = entry.grant
  if ('named' in entry) state.named = { path: entry.named, ino: entry.ino, sure: sameBoot || entry.sync }
  if ('dropped' in entry) state.finished = []
}

function stateOf(states: Map<string, State>, item: string): State {
  const state = states.get(item) ?? { finished: [], grant: null, named: null }
  states.set(item, state)
  return state
}
