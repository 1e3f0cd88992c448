import type { DestinationStream } from 'pino'

/** JSON lines as people read them: `12:30:05 info  upload complete  bytes=5 client=ab12`. */
export function prettyLines(destination: DestinationStream): DestinationStream {
  return { write: line => destination.write(prettyLine(line)) }
}

export function prettyLine(line: string): string {
  const { time, level, msg, err, ...facts } = JSON.parse(line) as Record<string, unknown>
  const clock = String(time).slice(11, 19)
  const told = Object.entries(facts).map(([name, value]) => `${name}=${plain(value)}`)
  const trouble = err === undefined ? '' : `\n${indent(JSON.stringify(err, null, 2).replaceAll(String.raw`\n`, '\n'))}`
  return `${[clock, String(level).padEnd(5), String(msg), ...told].join(' ')}${trouble}\n`
}

/** A line break in a value must not look like a line of its own. */
function plain(value: unknown): string {
  return typeof value === 'string' && /^[\w./:@+-]+$/.test(value) ? value : JSON.stringify(value)
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}
