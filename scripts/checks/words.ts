import { BANNED_WORDS, type BannedWord } from './banned-words.ts'
import type { CheckResult, Problem, SourceTree } from './source-tree.ts'
import { proseOf } from './typescript-text.ts'

const CHECKED_FILE =
  /^(?:(?:src|test|bench|scripts)\/.*\.ts|config\/.*\.ya?ml|deploy\/.*|(?:docs|test)\/.*\.md|[A-Z]+\.md)$/
/** They quote banned words, or names of published vectors. */
const QUOTING_FILES = new Set([
  'scripts/checks/banned-words.ts',
  'test/unit/scripts/checks.test.ts',
  'test/vectors/tink/README.md',
  'scripts/checks/commits.ts',
  'scripts/vectors/forged.ts',
])
/** Still to be rewritten; then this exception goes. */
const NOT_YET = /^test\/(?:e2e|http|support)\//
const LINE_START = /^\s*(?:\*(?!\/)|\/\/|#)?\s*/

/** Code and pages use the words of the glossary: none of the banned ones, each of which has a replacement. */
export function checkWords(tree: SourceTree): CheckResult {
  const files = [...tree].filter(([file]) => CHECKED_FILE.test(file) && !NOT_YET.test(file) && !QUOTING_FILES.has(file))
  const problems = files.flatMap(([file, text]) => {
    const all = joined(text)
    const prose = file.endsWith('.ts') ? joined(proseOf(text)) : all
    return BANNED_WORDS.flatMap(banned => findWord(file, banned.in === 'prose' ? prose : all, banned))
  })
  return { looked: `${BANNED_WORDS.length} banned words in ${files.length} files`, problems }
}

function findWord(file: string, { text, lineStarts }: JoinedText, banned: BannedWord): Problem[] {
  if (banned.except?.test(file) === true) return []
  return [...text.matchAll(new RegExp(banned.pattern, 'gi'))].map(match => ({
    file,
    line: lineStarts.filter(start => start <= match.index).length,
    message: `"${match[0].trim()}": write ${banned.instead}`,
  }))
}

interface JoinedText {
  /** One line, without the marks of comments, so that a phrase may go over the end of a line. */
  readonly text: string
  readonly lineStarts: readonly number[]
}

function joined(source: string): JoinedText {
  let text = ''
  const lineStarts: number[] = []
  for (const line of source.split('\n')) {
    lineStarts.push(text.length)
    text += `${line.replace(LINE_START, '').trimEnd()} `
  }
  return { text, lineStarts }
}
