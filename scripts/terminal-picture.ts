// Makes docs/terminal.svg from a captured terminal: tmux capture-pane -e -p | node scripts/terminal-picture.ts >
// docs/terminal.svg
import { text } from 'node:stream/consumers'

const CELL_WIDTH = 8.4
const LINE_HEIGHT = 19
const PADDING = 16

/** SGR parameters that the product's output uses, as class names; 39 and 49 are the default colours. */
const CLASSES: Readonly<Record<string, string>> = { 1: 'bold', 2: 'dim', 36: 'bar' }

interface Run {
  readonly text: string
  readonly classes: readonly string[]
}

const lines = (await text(process.stdin)).trimEnd().split('\n')
process.stdout.write(`${picture(lines)}\n`)

function picture(captured: readonly string[]): string {
  const style = new Set<string>()
  const rows = captured.map(line => parseRuns(line, style))
  const columns = Math.max(...rows.map(row => row.reduce((sum, run) => sum + columnsOf(run.text), 0)))
  const width = Math.ceil(columns * CELL_WIDTH + 2 * PADDING)
  const height = rows.length * LINE_HEIGHT + 2 * PADDING
  const body = rows.map((row, index) => textLine(row, PADDING + (index + 0.75) * LINE_HEIGHT)).join('\n')
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="A terminal: sealift send prints a link, sealift get fetches all files with progress bars">
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #e6edf3; white-space: pre; }
.bold { font-weight: 700; } .dim { fill: #9198a1; } .bar { fill: #39c5cf; }
</style>
<rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>
${body}
</svg>`
}

/** Cuts a line at its SGR sequences; the style goes on over the end of a line, as in a terminal. */
function parseRuns(line: string, style: Set<string>): Run[] {
  const runs: Run[] = []
  // oxlint-disable-next-line no-control-regex -- the escape character is what is looked for
  for (const [index, piece] of line.split(/\u001b\[([\d;]*)m/).entries()) {
    if (index % 2 === 1) applyStyle(piece, style)
    else if (piece !== '') runs.push({ text: piece, classes: [...style] })
  }
  return runs
}

function applyStyle(parameters: string, style: Set<string>): void {
  for (const parameter of parameters.split(';')) {
    if (parameter === '0' || parameter === '') style.clear()
    else if (parameter === '39') style.delete('bar')
    else style.add(CLASSES[parameter] ?? '')
  }
  style.delete('')
}

function textLine(runs: readonly Run[], y: number): string {
  let column = 0
  const spans = runs.map(({ text: content, classes }) => {
    const x = PADDING + column * CELL_WIDTH
    const length = columnsOf(content)
    column += length
    const fitted = `textLength="${(length * CELL_WIDTH).toFixed(1)}" lengthAdjust="spacingAndGlyphs"`
    return `<tspan x="${x.toFixed(1)}" ${fitted}${classes.length > 0 ? ` class="${classes.join(' ')}"` : ''}>${escapeXml(content)}</tspan>`
  })
  return `<text y="${y}" xml:space="preserve">${spans.join('')}</text>`
}

/** One column a character: the picture holds no wide ones. */
function columnsOf(content: string): number {
  return Array.from(content).length
}

function escapeXml(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
