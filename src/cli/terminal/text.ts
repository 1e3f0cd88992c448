/** Text as a terminal shows it: untrusted names made harmless, and measured in columns rather than characters. */
import { escapeUnseen } from '../../protocol/visible-text.ts'

export { printable } from '../../protocol/visible-text.ts'

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\p{Regional_Indicator}|\ufe0f/u
const INVISIBLE = /^[\p{M}\p{Cf}]+$/u

const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' })

/** Columns that `text` takes. Knows wide scripts, emoji and combining marks; expects no escape sequences. */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const { segment } of graphemes.segment(text)) columns += columnsOfGrapheme(segment)
  return columns
}

function columnsOfGrapheme(grapheme: string): number {
  if (INVISIBLE.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
}

/** At most `columns` wide; what is left out is in the middle, so that a file's extension stays: `holid…y.mp4`. */
export function shorten(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  if (columns <= 1) return columns === 1 ? '…' : ''
  const tailColumns = Math.floor((columns - 1) / 3)
  const pieces = Array.from(graphemes.segment(text), each => each.segment)
  const head = takeColumns(pieces, columns - 1 - tailColumns)
  const tail = takeColumns(pieces.toReversed(), tailColumns)
  return `${head.join('')}…${tail.toReversed().join('')}`
}

function takeColumns(pieces: readonly string[], columns: number): string[] {
  const taken: string[] = []
  let used = 0
  for (const piece of pieces) {
    used += columnsOfGrapheme(piece)
    if (used > columns) break
    taken.push(piece)
  }
  return taken
}

/** Exactly `columns` wide: shortened or filled with spaces on the right (on the left with `align: 'right'`). */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const short = shorten(text, columns)
  const fill = ' '.repeat(columns - columnsOf(short))
  return align === 'left' ? short + fill : fill + short
}

/** Rows of cells in columns as wide as their widest cell; columns named in `right` hold numbers. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const count = Math.max(0, ...rows.map(row => row.length))
  const widths = Array.from({ length: count }, (_, column) =>
    Math.max(...rows.map(row => columnsOf(row[column] ?? ''))),
  )
  return rows.map(row =>
    widths
      .map((width, column) => fit(row[column] ?? '', width, right.includes(column) ? 'right' : 'left'))
      .join('  ')
      .trimEnd(),
  )
}

/** JSON that is also safe to look at; the same for a program. */
export function safeJson(value: unknown): string {
  return escapeUnseen(JSON.stringify(value))
}
