/** A comment or a string of a TypeScript file; `end` is one past its last character. */
export interface TextSpan {
  readonly kind: 'line-comment' | 'block-comment' | 'doc-comment' | 'string'
  readonly start: number
  readonly end: number
}

const QUOTES = new Set(["'", '"', '`'])
/** After these a slash begins a regular expression, not a division. */
const BEFORE_REGEX = /(^|[(,=:[!&|?{};+\-*%~<>^]|\b(?:return|typeof|case|in|of|void|delete|await|yield))$/

/** The comments and strings of `text`, in order. Code in `${…}` of a template counts as part of its string. */
export function textSpans(text: string): TextSpan[] {
  const spans: TextSpan[] = []
  let at = 0
  let codeFrom = 0
  while (at < text.length) {
    const span = spanAt(text, at)
    if (span) {
      spans.push(span)
      at = span.end
      if (span.kind === 'string') codeFrom = at - 1
    } else if (text.charAt(at) === '/' && BEFORE_REGEX.test(text.slice(Math.max(codeFrom, at - 40), at).trimEnd())) {
      at = regexEnd(text, at)
    } else at += 1
  }
  return spans
}

/** `text` with everything but its comments and strings replaced by spaces; lines stay where they are. */
export function proseOf(text: string): string {
  let prose = ''
  for (const { start, end } of textSpans(text)) prose += blank(text.slice(prose.length, start)) + text.slice(start, end)
  return prose + blank(text.slice(prose.length))
}

function blank(code: string): string {
  return code.replace(/[^\n]/g, ' ')
}

function spanAt(text: string, start: number): TextSpan | null {
  if (text.startsWith('//', start)) return { kind: 'line-comment', start, end: endOf(text, '\n', start, 0) }
  if (text.startsWith('/*', start)) {
    const end = endOf(text, '*/', start + 2, 2)
    return { kind: text.startsWith('/**', start) && end - start > 4 ? 'doc-comment' : 'block-comment', start, end }
  }
  const quote = text.charAt(start)
  return QUOTES.has(quote) ? { kind: 'string', start, end: stringEnd(text, start, quote) } : null
}

function endOf(text: string, mark: string, from: number, markLength: number): number {
  const found = text.indexOf(mark, from)
  return found === -1 ? text.length : found + markLength
}

function stringEnd(text: string, start: number, quote: string): number {
  let at = start + 1
  while (at < text.length && text.charAt(at) !== quote) {
    if (text.charAt(at) === '\\') at += 2
    else if (quote === '`' && text.startsWith('${', at)) at = substitutionEnd(text, at + 2)
    else at += 1
  }
  return at + 1
}

function substitutionEnd(text: string, start: number): number {
  let depth = 1
  let at = start
  while (at < text.length && depth > 0) {
    const span = spanAt(text, at)
    const character = text.charAt(at)
    if (character === '{') depth += 1
    if (character === '}') depth -= 1
    at = span ? span.end : at + 1
  }
  return at
}

function regexEnd(text: string, start: number): number {
  let inClass = false
  for (let at = start + 1; at < text.length; at += 1) {
    const character = text.charAt(at)
    if (character === '\n') return start + 1
    if (character === '\\') at += 1
    else if (character === '[') inClass = true
    else if (character === ']') inClass = false
    else if (character === '/' && !inClass) return at + 1
  }
  return start + 1
}
