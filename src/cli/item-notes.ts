import type { ParcelItem } from '../client/node/index.ts'
import { quoted, type Output } from './cli-io.ts'
import { printable } from './terminal/text.ts'

/** Says what senders noted of their items, such as why a film is a plain file; a line each. */
export function tellNotes(output: Output, items: readonly Pick<ParcelItem, 'name' | 'note'>[]): void {
  for (const { name, note } of items) if (note !== null) output.note(`${quoted(name)}: ${printable(note)}`)
}

/** For `--json`. */
export function noted({ note }: Pick<ParcelItem, 'note'>): { readonly note?: string } {
  return note === null ? {} : { note }
}
