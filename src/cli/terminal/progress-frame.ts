/** What a moment of a transfer looks like: pure functions from progress to lines of text. */
import type { ItemProgress, Progress } from '../../client/progress.ts'
import { formatDuration, formatSize } from '../../protocol/units.ts'
import { columnsOf, fit, printable } from './text.ts'
import type { Piece, StyledLine } from './writer.ts'

export interface FrameStyle {
  readonly columns: number
  readonly rows: number
  readonly colour: boolean
  /** False: ASCII alone. */
  readonly unicode: boolean
  /** What is going on, at the start of the total line: `sending`. */
  readonly verb: string
}

const MAX_BARS = 8
const SIZES_COLUMNS = 23

/**
 * Lines for a terminal: one bar for each moving item (at most eight), and a total line. None is wider than the
 * terminal.
 */
export function progressFrame(progress: Progress, style: FrameStyle): StyledLine[] {
  const room = Math.max(0, Math.min(MAX_BARS, style.rows - 3))
  const shown = progress.active.slice(0, room)
  const hidden = progress.active.length - shown.length
  const bars = shown.map(item => itemLine(item, style))
  if (hidden > 0 && room > 0) bars.push([dim(fit(`  and ${hidden} more at once`, style.columns - 1).trimEnd(), style)])
  return [...bars, totalLine(progress, style)]
}

/** One line for a log file, where nothing can be overwritten. */
export function progressSentence(progress: Progress, verb: string): string {
  const total = progress.totalBytes
  const percent = total === null ? '' : ` (${percentOf(progress.bytes, total)}%)`
  const of = total === null ? '' : ` of ${formatSize(total)}`
  const parts = [`${progress.itemsDone} of ${countOf(progress.items)}`, `${formatSize(progress.bytes)}${of}${percent}`]
  return `${verb}: ${[...parts, ...paceOf(progress)].join(', ')}`
}

/** Why nothing moves, and until when. */
export interface Trouble {
  /** Such as `connection lost`. */
  readonly what: string
  readonly waitMs: number
}

/** `connection lost, trying again in 3 s` */
export function troubleText({ what, waitMs }: Trouble): string {
  return `${what}, trying again ${waitMs > 0 ? `in ${Math.ceil(waitMs / 1000)} s` : 'now'}`
}

export function troubleLine(trouble: Trouble, style: FrameStyle): StyledLine {
  return [paint('33', fit(troubleText(trouble), Math.max(1, style.columns - 1)).trimEnd(), style)]
}

/** `1 item`, `12 items`. */
export function countOf(items: number): string {
  return items === 1 ? '1 item' : `${items} items`
}

function itemLine(item: ItemProgress, style: FrameStyle): StyledLine {
  const nameColumns = Math.max(8, Math.min(36, Math.floor(style.columns * 0.34)))
  const name = fit(printable(item.name), nameColumns)
  return assemble(`  ${name} `, item, style)
}

function totalLine(progress: Progress, style: FrameStyle): StyledLine {
  const head = `${style.verb} ${progress.itemsDone}/${countOf(progress.items)}`
  const facts = [...sizesOf(progress), ...paceOf(progress)]
  const full = [head, percentText(progress), ...facts].filter(part => part !== '').join('  ')
  const text = columnsOf(full) < style.columns ? full : [head, percentText(progress), facts[0] ?? ''].join('  ')
  return [bold(fit(text, Math.max(1, style.columns - 1)).trimEnd(), style)]
}

function assemble(prefix: string, item: ItemProgress, style: FrameStyle): StyledLine {
  const percent = fit(percentText(item), 4, 'right')
  const sizes = style.columns >= 64 ? `  ${fit(sizesOf(item)[0] ?? '', SIZES_COLUMNS)}` : ''
  const barColumns = Math.min(40, style.columns - 2 - columnsOf(prefix) - 4 - columnsOf(sizes))
  const bar = barColumns >= 5 ? [...barOf(item, barColumns, style), ' '] : []
  const plainColumns = columnsOf(prefix) + (bar.length === 0 ? 0 : barColumns + 1) + 4 + columnsOf(sizes)
  if (plainColumns >= style.columns) return [fit(prefix.trim(), Math.max(1, style.columns - 1)).trimEnd()]
  return [prefix, ...bar, percent, dim(sizes.trimEnd(), style)]
}

/** A bar of exactly `columns`. */
function barOf(item: Pick<ItemProgress, 'bytes' | 'totalBytes'>, columns: number, style: FrameStyle): Piece[] {
  const share = item.totalBytes === null ? 0 : shareOf(item.bytes, item.totalBytes)
  const halves = Math.round(share * columns * 2)
  const [full, half, empty] = style.unicode ? ['━', '╸', '─'] : ['#', '-', '.']
  const filled = full.repeat(Math.floor(halves / 2)) + (halves % 2 === 1 ? half : '')
  return [paint('36', filled, style), dim(empty.repeat(columns - filled.length), style)]
}

function sizesOf(progress: Pick<Progress, 'bytes' | 'totalBytes'>): string[] {
  if (progress.totalBytes === null) return [formatSize(progress.bytes)]
  return [`${formatSize(progress.bytes)} of ${formatSize(progress.totalBytes)}`]
}

function paceOf(progress: Progress): string[] {
  if (progress.bytesPerSecond <= 0) return []
  const pace = [`${formatSize(Math.round(progress.bytesPerSecond))}/s`]
  if (progress.secondsLeft !== null && progress.secondsLeft > 0)
    pace.push(`${formatDuration(Math.max(1000, Math.round(progress.secondsLeft) * 1000))} left`)
  return pace
}

function percentText(progress: Pick<Progress, 'bytes' | 'totalBytes'>): string {
  return progress.totalBytes === null ? '' : `${percentOf(progress.bytes, progress.totalBytes)}%`
}

/** Rounded down: 100 only when all of it is there. */
function percentOf(bytes: number, totalBytes: number): number {
  return Math.floor(shareOf(bytes, totalBytes) * 100)
}

function shareOf(bytes: number, totalBytes: number): number {
  return totalBytes === 0 ? 1 : Math.max(0, Math.min(1, bytes / totalBytes))
}

const bold = (text: string, style: FrameStyle) => paint('1', text, style)
const dim = (text: string, style: FrameStyle) => paint('2', text, style)

function paint(colour: Exclude<Piece, string>['colour'], text: string, style: FrameStyle): Piece {
  return style.colour && text !== '' ? { text, colour } : text
}
