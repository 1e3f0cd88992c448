import { relative } from 'node:path'

import {
  type NameChange,
  type ParcelItem,
  type Received,
  type ReceivedItem,
  type RetryEvent,
  isSealiftError,
} from '../client/node/index.ts'
import { type Output, quoted } from './cli-io.ts'
import { printable } from './terminal/text.ts'
import type { ProgressView } from './terminal/progress-view.ts'

/** Says what senders noted of their items, such as why a film is a plain file; a line each. */
export function tellNotes(output: Output, items: readonly Pick<ParcelItem, 'name' | 'note'>[]): void {
  for (const { name, note } of items) if (note !== null) output.note(`${quoted(name)}: ${printable(note)}`)
}

/** For `--json`. */
export function noted({ note }: Pick<ParcelItem, 'note'>): { readonly note?: string } {
  return note === null ? {} : { note }
}

/** Longest list on standard error; `--json` has all entries. */
const SHOWN = 20

const REASONS: Readonly<Record<NameChange, string>> = {
  hidden: 'the system would hide or obey that name (--hidden keeps it)',
  invisible: 'that name holds characters that cannot be seen',
  outside: 'that name leads out of the folder',
  system: 'this system cannot hold that name',
  length: 'that name is too long',
  taken: 'that name is taken',
}

/** Says which items are not called what their sender called them, and why. */
export function tellRenamed(output: Output, { items, directory }: Received): void {
  const renamed = items.flatMap(item => lineOf(item, directory) ?? [])
  for (const line of renamed.slice(0, SHOWN)) output.note(line)
  const more = renamed.length - SHOWN
  if (more > 0) output.note(`${more} more have another name than their sender gave them; --json lists them.`)
}

function lineOf({ item, path, changes }: ReceivedItem, directory: string): string | null {
  if (path === null || changes.length === 0) return null
  const reasons = changes.map(change => REASONS[change]).join(', ')
  return `${quoted(item.name)} is saved as ${quoted(relative(directory, path))}: ${reasons}.`
}

/** What is over sooner is not worth a word. */
const WORTH_A_WORD_MS = 1000

/** Reports retries beside the progress, so that idle bars have an explanation. */
export class RetryNotes {
  #view: ProgressView | null = null

  showOn(view: ProgressView): void {
    this.#view = view
  }

  readonly onRetry = ({ error, waitMs, failingMs }: RetryEvent): void => {
    if (failingMs + waitMs >= WORTH_A_WORD_MS) this.#view?.trouble({ what: whatHappened(error), waitMs })
  }
}

function whatHappened(error: Error): string {
  if (isSealiftError(error, 'network', 'stalled')) return 'connection lost'
  if (isSealiftError(error, 'unavailable', 'shutting_down')) return 'the server is not available'
  if (isSealiftError(error, 'rate_limited', 'too_many_uploads', 'too_many_downloads', 'too_many_pending')) {
    return 'the server is busy'
  }
  return 'the server failed'
}
