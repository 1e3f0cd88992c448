import { posix } from 'node:path'

import { lineAt, type CheckResult, type Problem, type SourceTree } from './source-tree.ts'
import { textSpans } from './typescript-text.ts'

const PAGE_LINK = /\]\(([^)\s]+)\)/g
const COMMENT_PATH = /(?<![\w./~$*<-])((?:[\w-]+\/)*[\w.-]+\.(?:ts|md))(?![\w/-])/g
const PAGE_PATH = /`((?:src|test|bench|scripts|docs|config|deploy)\/[\w./-]+|(?:[\w-]+\/)+[\w.-]+\.ts)`/g

/** Where a page or a comment points, there is something: a file, a heading, a symbol, a titled note, an npm script. */
export function checkLinks(tree: SourceTree): CheckResult {
  const problems: Problem[] = []
  const symbols = exportedSymbols(tree)
  let links = 0
  for (const [file, text] of tree) {
    const found = file.endsWith('.md')
      ? pageLinks(tree, file)
      : file.endsWith('.ts')
        ? commentLinks(tree, file, symbols)
        : []
    links += found.length
    for (const { offset, broken } of found)
      if (broken !== null) problems.push({ file, line: lineAt(text, offset), message: broken })
  }
  return { looked: `${links} links`, problems }
}

interface FoundLink {
  readonly offset: number
  /** What is wrong with it; `null`: nothing. */
  readonly broken: string | null
}

function pageLinks(tree: SourceTree, page: string): FoundLink[] {
  const text = tree.get(page) ?? ''
  const scripts = npmScripts(tree)
  return [
    ...[...text.matchAll(PAGE_LINK)].map(({ index, 1: target = '' }) => ({
      offset: index,
      broken: /^[a-z]+:/.test(target) ? null : brokenTarget(tree, page, target),
    })),
    ...[...text.matchAll(PAGE_PATH)].map(({ index, 1: path = '' }) => ({
      offset: index,
      broken: exists(tree, path.replace(/\/$/, '')) ? null : `${path} does not exist`,
    })),
    ...[...text.matchAll(/`npm run ([\w:-]+)/g)].map(({ index, 1: script = '' }) => ({
      offset: index,
      broken: scripts.includes(script) ? null : `there is no npm script ${script}`,
    })),
  ]
}

function brokenTarget(tree: SourceTree, page: string, target: string): string | null {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? page : posix.normalize(posix.join(posix.dirname(page), path)).replace(/\/$/, '')
  if (!exists(tree, file)) return `the link to ${target} leads nowhere`
  const linked = tree.get(file)
  if (anchor === undefined || linked === undefined || !file.endsWith('.md')) return null
  return anchors(linked).has(anchor) ? null : `${file} has no heading #${anchor}`
}

function commentLinks(tree: SourceTree, file: string, symbols: ReadonlySet<string>): FoundLink[] {
  const text = tree.get(file) ?? ''
  return textSpans(text)
    .filter(({ kind }) => kind !== 'string')
    .flatMap(({ start, end }) => {
      const comment = text.slice(start, end)
      const at = (index: number, broken: string | null): FoundLink => ({ offset: start + index, broken })
      return [
        ...[...comment.matchAll(COMMENT_PATH)].map(({ index, 1: path = '' }) =>
          at(index, exists(tree, path) ? null : `the comment names ${path}, which does not exist`),
        ),
        ...[...comment.matchAll(/\{@link (\w+)[^}]*\}/g)].map(({ index, 1: name = '' }) =>
          at(index, symbols.has(name) || isDeclared(text, name) ? null : `{@link ${name}}: there is no such symbol`),
        ),
        ...[...comment.matchAll(/(\[Note: [^\]]+\])\s+(?:\*\s+)?in\s+`?(?:\.\.?\/)*([\w./-]+\.ts)/g)].map(
          ({ index, 1: note = '', 2: path = '' }) =>
            at(
              index,
              [...tree].some(([other, its]) => isNamed(other, path) && its.includes(note))
                ? null
                : `${path} has no ${note}`,
            ),
        ),
      ]
    })
}

function exists(tree: SourceTree, path: string): boolean {
  for (const file of tree.keys()) if (isNamed(file, path) || file.startsWith(`${path}/`)) return true
  return false
}

/** A comment may name a file by the end of its path alone. */
function isNamed(file: string, path: string): boolean {
  return file === path || file.endsWith(`/${path}`)
}

function isDeclared(text: string, name: string): boolean {
  return new RegExp(`\\b(?:class|function\\*?|const|interface|type|enum) ${name}\\b`).test(text)
}

function exportedSymbols(tree: SourceTree): Set<string> {
  const symbols = new Set<string>()
  for (const [file, text] of tree)
    if (file.startsWith('src/'))
      for (const { 1: name = '' } of text.matchAll(
        /^export [\w* ]*?(?:class|function\*?|const|interface|type) (\w+)/gm,
      ))
        symbols.add(name)
  return symbols
}

function anchors(page: string): Set<string> {
  const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(({ 1: heading = '' }) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  )
  return new Set([...headings, ...[...page.matchAll(/<a id="([^"]+)">/g)].map(({ 1: id = '' }) => id)])
}

function npmScripts(tree: SourceTree): string[] {
  const { scripts = {} } = JSON.parse(tree.get('package.json') ?? '{}') as { scripts?: object }
  return Object.keys(scripts)
}
