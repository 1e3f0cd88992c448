/** The figures as one picture that reads on light and on dark pages. */
import type { AimSummary, Report, RowSummary, SubjectSummary } from './summary.ts'
import { bound, figure } from './text.ts'

const WIDTH = 900
const MARGIN = 24
const LABEL_WIDTH = 300
const BAR_WIDTH = 300
const LINE_HEIGHT = 24
const TITLE_HEIGHT = 34
const ROW_GAP = 18
const HEAD_HEIGHT = 58

/** Colours that keep their contrast on white and on near-black alike; the text follows the page. */
const STYLE = `
  text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 14px; }
  .head { font-weight: 700; font-size: 17px; }
  .quiet { fill: #59636e; }
  .ours { fill: #0b7285; }
  .theirs { fill: #adb5bd; }
  .whisker { stroke: #59636e; stroke-width: 1.5; }
  .met { fill: #2b8a3e; font-weight: 600; }
  .missed { fill: #c2255c; font-weight: 600; }
  .page { fill: #ffffff; }
  .rule { stroke: #d0d7de; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .ours { fill: #22b8cf; }
    .theirs { fill: #6e7681; }
    .whisker { stroke: #b1bac4; }
    .met { fill: #56d364; }
    .missed { fill: #ff7b9c; }
    .page { fill: #0d1117; }
    .rule { stroke: #30363d; }
  }
`

export function drawReport(report: Report): string {
  const rows = report.rows.filter(row => row.subjects.length > 0)
  const parts: string[] = []
  let y = HEAD_HEIGHT
  for (const row of rows) {
    parts.push(drawRow(row, y))
    y += rowHeight(row)
  }
  const height = y + MARGIN
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(describe(rows))}">
<style>${STYLE}</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="10"/>
${text({ x: MARGIN, y: 32, content: 'Sealift beside what else one might use', kind: 'head' })}
${text({ x: MARGIN, y: 50, content: subtitle(report), kind: 'quiet' })}
${parts.join('\n')}
</svg>
`
}

function subtitle({ facts, rounds, quick }: Report): string {
  return `${quick ? 'QUICK RUN, sizes too small to judge by: ' : ''}${facts.cores} cores, loopback, Node ${facts.versions['node'] ?? ''}; median of ${rounds} rounds, the thin line from lowest to highest`
}

function describe(rows: readonly RowSummary[]): string {
  return rows
    .flatMap(row => row.aims.map(aim => `${row.title}: ${aim.label} ${figure(aim.median)} ${aim.unit}`))
    .join('; ')
}

function rowHeight(row: RowSummary): number {
  return TITLE_HEIGHT + row.subjects.length * LINE_HEIGHT + row.aims.length * LINE_HEIGHT + ROW_GAP
}

function drawRow(row: RowSummary, top: number): string {
  const most = Math.max(...row.subjects.map(subject => subject.high))
  const alone = !row.subjects.some(subject => subject.name.startsWith('Sealift'))
  const aimsTop = top + TITLE_HEIGHT + row.subjects.length * LINE_HEIGHT
  return [
    `<line class="rule" x1="${MARGIN}" x2="${WIDTH - MARGIN}" y1="${top + 6}" y2="${top + 6}"/>`,
    text({ x: MARGIN, y: top + 26, content: row.title, kind: 'title' }),
    ...row.subjects.map((subject, index) => {
      const ours = alone || /^(Sealift|\s)/.test(subject.name)
      return drawBar({ subject, most, unit: row.unit, ours, top: top + TITLE_HEIGHT + index * LINE_HEIGHT })
    }),
    ...row.aims.map((aim, index) => drawAim(aim, aimsTop + index * LINE_HEIGHT)),
  ].join('\n')
}

interface Bar {
  readonly subject: SubjectSummary
  readonly most: number
  readonly unit: string
  readonly ours: boolean
  readonly top: number
}

function drawBar({ subject, most, unit, ours, top }: Bar): string {
  const left = MARGIN + LABEL_WIDTH
  const scaled = (value: number): number => Math.max(1, Math.round((value / most) * BAR_WIDTH))
  const middle = top + 12
  const kind = ours ? 'ours' : 'theirs'
  return [
    text({ x: left - 10, y: top + 17, content: subject.name.trim(), anchor: 'end' }),
    `<rect class="${kind}" x="${left}" y="${top + 4}" width="${scaled(subject.median)}" height="16" rx="3"/>`,
    `<line class="whisker" x1="${left + scaled(subject.low)}" x2="${left + scaled(subject.high)}" y1="${middle}" y2="${middle}"/>`,
    text({ x: left + scaled(subject.high) + 10, y: top + 17, content: `${figure(subject.median)} ${unit}` }),
  ].join('\n')
}

function drawAim(aim: AimSummary, top: number): string {
  const verdict = aim.met === null ? '' : aim.met ? 'met' : 'missed'
  const value = `${figure(aim.median)} ${aim.unit}`
  const target = aim.met === null ? '' : ` · aim ${bound(aim)} · `
  return [
    text({ x: MARGIN + LABEL_WIDTH - 10, y: top + 17, content: aim.label, kind: 'quiet', anchor: 'end' }),
    `<text x="${MARGIN + LABEL_WIDTH}" y="${top + 17}">${escape(value + target)} <tspan class="${verdict}">${verdict}</tspan></text>`,
  ].join('\n')
}

interface Text {
  readonly x: number
  readonly y: number
  readonly content: string
  readonly kind?: string
  readonly anchor?: 'end'
}

function text({ x, y, content, kind, anchor }: Text): string {
  const extra = `${kind ? ` class="${kind}"` : ''}${anchor ? ` text-anchor="${anchor}"` : ''}`
  return `<text x="${x}" y="${y}"${extra}>${escape(content)}</text>`
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
