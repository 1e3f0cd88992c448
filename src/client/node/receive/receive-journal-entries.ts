/** What the journal of an earlier process says of a receive: see `receive-journal.ts`. */
import * as z from 'zod'

import type { PlainRange } from '../../api/source-and-sink.ts'
import { merged } from '../../receive/chunk-runs.ts'
import { LineJournal, processIdentitySchema } from '../state/line-journal.ts'
import type { PartialIdentity } from './partial-file.ts'
import type { ProcessIdentity } from '../state/line-journal.ts'

const entrySchema = z.union([
  z.object({ receive: z.literal(1), directory: z.string() }),
  z.object({ process: processIdentitySchema.nullable() }),
  z.object({ item: z.string(), range: z.tuple([z.int().min(0), z.int().min(0)]) }),
  z.object({ item: z.string(), grant: z.string() }),
  z.object({ item: z.string(), named: z.string(), ino: z.string(), dev: z.string(), sync: z.boolean() }),
  z.object({ item: z.string(), dropped: z.literal(true) }),
  z.object({ item: z.string(), partial: z.string(), ino: z.string(), dev: z.string() }),
  z.object({ item: z.string(), partial: z.string() }),
])

type Entry = z.infer<typeof entrySchema>

export interface NamedFile extends PartialIdentity {
  readonly path: string
  /** False when the machine was started anew since: what the file holds is uncertain. */
  readonly sure: boolean
}

export interface RecalledPartial {
  /** In the folder. */
  readonly path: string
  /** `null`: nothing is known to be in it. */
  readonly identity: PartialIdentity | null
}

/** What is known of one item. */
export interface ReceivedState {
  /** Plaintext ranges in the partial file. */
  readonly finished: readonly PlainRange[]
  readonly grant: string | null
  readonly partial: RecalledPartial | null
  /** The path it got, or was about to get, in the folder; and the file that had to be there. */
  readonly named: NamedFile | null
}

export const UNKNOWN_ITEM: ReceivedState = { finished: [], grant: null, partial: null, named: null }

export interface RecalledReceive {
  /** `null`: there is no journal. */
  readonly directory: string | null
  readonly holder: ProcessIdentity | null
  readonly entries: readonly Entry[]
  readonly partials: Set<string>
}

/** @throws local_file */
export async function readReceive(path: string): Promise<RecalledReceive> {
  const entries = (await LineJournal.read(path)).flatMap(line => entrySchema.safeParse(line).data ?? [])
  const head = entries[0]
  return {
    directory: head && 'receive' in head ? head.directory : null,
    holder: entries.findLast(entry => 'process' in entry)?.process ?? null,
    entries,
    partials: new Set(entries.flatMap(entry => ('partial' in entry ? [entry.partial] : []))),
  }
}

type State = { -readonly [K in keyof ReceivedState]: ReceivedState[K] } & { finished: PlainRange[] }

/** What counts in the run of the system called `boot`. */
export function replay(entries: readonly Entry[], boot: string): ReadonlyMap<string, ReceivedState> {
  const states = new Map<string, State>()
  let written = ''
  for (const entry of entries) {
    if ('process' in entry) written = entry.process?.boot ?? written
    else if ('item' in entry) apply(stateOf(states, entry.item), entry, written === boot)
  }
  for (const state of states.values()) state.finished = merged(state.finished)
  return states
}

function apply(state: State, entry: Extract<Entry, { item: string }>, sameBoot: boolean): void {
  if ('range' in entry && sameBoot) state.finished.push({ start: entry.range[0], end: entry.range[1] })
  if ('grant' in entry) state.grant = entry.grant
  if ('named' in entry) {
    const { named: path, ino, dev, sync } = entry
    state.named = { path, ino, dev, sure: sameBoot || sync }
  }
  if ('partial' in entry) applyPartial(state, entry)
  if ('dropped' in entry) state.finished = []
}

/** Another file is an empty one. */
function applyPartial(state: State, entry: { partial: string; ino?: string; dev?: string }): void {
  const { partial: path, ino, dev } = entry
  if (state.partial?.path !== path) state.finished = []
  state.partial = { path, identity: ino === undefined || dev === undefined ? null : { ino, dev } }
}

function stateOf(states: Map<string, State>, item: string): State {
  const state = states.get(item) ?? { ...UNKNOWN_ITEM, finished: [] }
  states.set(item, state)
  return state
}
