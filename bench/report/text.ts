/** Figures as lines for a terminal. */
import type { RowFailure } from '../run-rows.ts'
import type { AimSummary, Report, RowSummary } from './summary.ts'

export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** `≥ 0.6 ×`, `≤ 300 MB`. */
export function bound(aim: AimSummary): string {
  const [sign, value] = aim.atLeast === undefined ? ['≤', aim.atMost] : ['≥', aim.atLeast]
  return `${sign} ${value ?? ''} ${aim.unit}`
}

export function rowLines(row: RowSummary): string[] {
  const width = Math.max(
    ...[...row.subjects.map(each => each.name), ...row.aims.map(each => each.label)].map(text => text.length),
  )
  return [
    `${row.title} (${row.row})`,
    ...row.subjects.map(each => {
      const cpu = each.serverCpuSeconds === undefined ? '' : `   server CPU ${figure(each.serverCpuSeconds)} s`
      return `  ${each.name.padEnd(width)}  ${figure(each.median).padStart(8)} ${row.unit}  (${figure(each.low)} to ${figure(each.high)})${cpu}`
    }),
    ...row.aims.map(aim => {
      const value = `${figure(aim.median).padStart(8)} ${aim.unit}  (${figure(aim.low)} to ${figure(aim.high)})`
      const verdict = aim.met === null ? '' : `   aim ${bound(aim)}: ${aim.met ? 'met' : 'MISSED'}`
      return `  ${aim.label.padEnd(width)}  ${value}${verdict}`
    }),
    ...row.notes.map(note => `  ${note}`),
  ]
}

/** What the whole run says at its end, when it is no success. */
export function failureLines(failures: readonly RowFailure[]): string[] {
  const many = failures.length === 1 ? '1 row failed' : `${failures.length} rows failed`
  return [`${many}; the others were measured:`, ...failures.map(({ row, message }) => `  ${row}: ${message}`)]
}

export function factLines({ facts, rounds, quick }: Report): string[] {
  const versions = Object.entries(facts.versions).map(([name, version]) => `${name} ${version}`)
  return [
    `${facts.cores} cores (${facts.processor}), ${facts.memoryGiB} GiB, Linux ${facts.kernel}, ${facts.fileSystem}`,
    versions.join(', '),
    `Median of ${rounds} rounds taken in turns after a warm-up, with the lowest and highest${quick ? '; QUICK: sizes too small to judge by' : ''}.`,
  ]
}
