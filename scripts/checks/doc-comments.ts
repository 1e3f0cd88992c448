import { lineAt, type CheckResult, type Problem, type SourceTree } from './source-tree.ts'
import { textSpans } from './typescript-text.ts'

const MAX_COLUMNS = 120
/** After the comment of a file come its imports, what it exports again, or an empty line. */
const FILE_BODY = /^\s*\n(?:import |export (?:type )?[*{])|^[^\S\n]*\n[^\S\n]*\n/
const EMPTY_LINE = /^[^\S\n]*\n[^\S\n]*\n/
const NO_SYMBOL = /^(?:$|[})\]]|(?:return|if|for|while|switch|throw|await|try|break|continue|case|else|yield|import)\b)/
const ONE_LINE_DECLARATION = /^export (?:declare )?(?:async )?(?:const|let|type|function\*?|class) (\w+)[^\n]*\n/

/** Each doc comment belongs to one symbol, or at the head of a file to the file; no comment is wider than the code. */
export function checkDocComments(tree: SourceTree): CheckResult {
  const problems: Problem[] = []
  let comments = 0
  for (const [file, text] of tree) {
    if (!file.endsWith('.ts')) continue
    const lines = text.split('\n')
    const wide = new Set<number>()
    for (const span of textSpans(text)) {
      if (span.kind === 'string') continue
      comments += 1
      const first = lineAt(text, span.start)
      const last = lineAt(text, span.end - 1)
      for (let line = first; line <= last; line += 1) if ((lines[line - 1] ?? '').length > MAX_COLUMNS) wide.add(line)
      const isOfFile = text.slice(0, span.start).trim() === '' && FILE_BODY.test(text.slice(span.end))
      const complaint = span.kind === 'doc-comment' && !isOfFile ? misplaced(text.slice(span.end)) : null
      if (complaint !== null) problems.push({ file, line: first, message: complaint })
    }
    for (const line of wide) problems.push({ file, line, message: `a comment beyond ${MAX_COLUMNS} columns` })
  }
  return { looked: `${comments} comments`, problems }
}

/** What is wrong with a doc comment that `rest` follows; `null`: nothing. */
function misplaced(rest: string): string | null {
  const code = rest.trimStart()
  if (code.startsWith('/**')) return 'a doc comment that belongs to no symbol: another one follows it'
  if (EMPTY_LINE.test(rest) || NO_SYMBOL.test(code))
    return 'a doc comment that belongs to no symbol: put it above one, or write it with //'
  if (/^(?:export )?(?:const|let) [{[]/.test(code) || /^export (?:type )?(?:\*|\{[^}]*,\s*\w)/.test(code))
    return 'a doc comment that belongs to several symbols: write one for each, or write it with //'
  return isAboveTwo(code) ? 'a doc comment above two declarations: put an empty line between them' : null
}

/** Two declarations of one line each, with nothing between them: a reader takes the comment for both. */
function isAboveTwo(code: string): boolean {
  const first = ONE_LINE_DECLARATION.exec(code)
  const second = first && ONE_LINE_DECLARATION.exec(code.slice(first[0].length))
  return Boolean(second) && first?.[1] !== second?.[1]
}
