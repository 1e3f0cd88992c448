import { relative } from 'node:path'

import type { NameChange, Received, ReceivedItem } from '../client/node/index.ts'
import { quoted, type Output } from './cli-io.ts'

/** More lines than these nobody reads; `--json` has all of them. */
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
