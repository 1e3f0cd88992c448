import { describe, expect, it } from 'vitest'

import { checkCommits } from '../../../scripts/checks/commits.ts'
import { checkDocComments } from '../../../scripts/checks/doc-comments.ts'
import { checkLinks } from '../../../scripts/checks/links.ts'
import { checkNames } from '../../../scripts/checks/names.ts'
import { checkPublicSymbols } from '../../../scripts/checks/public-symbols.ts'
import type { CheckResult } from '../../../scripts/checks/source-tree.ts'
import { proseOf, textSpans } from '../../../scripts/checks/typescript-text.ts'
import { checkWords } from '../../../scripts/checks/words.ts'

function tree(files: Record<string, string>): ReadonlyMap<string, string> {
  return new Map(Object.entries(files))
}

function found({ problems }: CheckResult): string[] {
  return problems.map(({ file, line, message }) => `${file}:${line}: ${message}`)
}

describe('the text of a TypeScript file', () => {
  const code = [
    "const a = 'it // is' // one",
    'const b = /[/"]+/.test(`${a /* two */} "`) ? 4 / 2 : 1 / 3',
    '/** three */',
  ].join('\n')

  it('has comments and strings, and a slash that divides is neither', () => {
    const texts = textSpans(code).map(({ kind, start, end }) => `${kind}: ${code.slice(start, end)}`)
    expect(texts).toEqual([
      "string: 'it // is'",
      'line-comment: // one',
      'string: `${a /* two */} "`',
      'doc-comment: /** three */',
    ])
  })

  it('keeps its lines when the code is left out', () => {
    expect(proseOf(code).split('\n')).toHaveLength(3)
    expect(proseOf(code)).not.toContain('const')
  })
})

describe('the check of words', () => {
  it('refuses a banned word in a comment, a string, an identifier and a page, with the place and the replacement', () => {
    const result = checkWords(
      tree({
        'src/a.ts': "// The client\n// is told of it.\nconst theLedger = 'nobody'\n",
        'docs/b.md': 'Fine.\n\nThis stands\nstill.\n',
        'README.md': 'A node answers.\n',
      }),
    )
    expect(found(result)).toEqual([
      expect.stringMatching(/^src\/a\.ts:3: "nobody": write the thing/),
      expect.stringMatching(/^src\/a\.ts:1: "is told": write reports|^src\/a\.ts:2: "is told": write reports/),
      expect.stringMatching(/^src\/a\.ts:3: "Ledger": write quota usage/),
      expect.stringMatching(/^docs\/b\.md:3: "stands still": write is idle/),
      expect.stringMatching(/^README\.md:1: "answers": write response, respond/),
    ])
  })

  it('leaves alone what is no banned word, and code where only prose counts', () => {
    const result = checkWords(tree({ 'src/a.ts': '// A heartbeat, without a body.\nconst nobody = parent.tells\n' }))
    expect(found(result)).toEqual([])
  })
})

describe('the check of doc comments', () => {
  it('refuses one that belongs to no symbol', () => {
    const result = checkDocComments(
      tree({
        'src/a.ts': 'const a = 1\n/** Of nothing. */\n\nconst b = 2\n',
        'src/b.ts': 'const a = 1\n/** First. */\n/** Second. */\nconst b = 2\n',
        'src/c.ts': 'function f() {\n  /** No symbol. */\n  return 1\n}\n',
      }),
    )
    expect(found(result)).toEqual([
      expect.stringMatching(/^src\/a\.ts:2: .*belongs to no symbol/),
      expect.stringMatching(/^src\/b\.ts:2: .*another one follows/),
      expect.stringMatching(/^src\/c\.ts:2: .*belongs to no symbol/),
    ])
  })

  it('refuses one that belongs to two symbols', () => {
    const result = checkDocComments(
      tree({
        'src/a.ts': '/** Both. */\nconst [a, b] = pair\n',
        'src/b.ts': '/** Both. */\nexport type A = string\nexport type B = string\n',
      }),
    )
    expect(found(result)).toEqual([
      expect.stringMatching(/^src\/a\.ts:1: .*several symbols/),
      expect.stringMatching(/^src\/b\.ts:1: .*two declarations/),
    ])
  })

  it('refuses a comment line beyond 120 columns', () => {
    const result = checkDocComments(tree({ 'src/a.ts': `// ${'x'.repeat(118)}\n` }))
    expect(found(result)).toEqual(['src/a.ts:1: a comment beyond 120 columns'])
  })

  it('takes one for a symbol, a member, the file, and overloads', () => {
    const result = checkDocComments(
      tree({
        'src/a.ts':
          "/** The file. */\nimport x from 'x'\n\n/** A. */\nexport const a = 1\n\nconst b = { /** C. */ c: 1 }\n",
        'src/b.ts': '/** F. */\nexport function f(a: 1): 1\nexport function f(a: 2): 2\n',
      }),
    )
    expect(found(result)).toEqual([])
  })
})

describe('the check of public symbols', () => {
  it('refuses one without a doc comment', () => {
    const result = checkPublicSymbols(
      tree({
        'src/client/index.ts': "export { known, unknown } from './a.ts'\n",
        'src/client/a.ts': '/** Known. */\nexport const known = 1\nexport const unknown = 2\nexport const hidden = 3\n',
      }),
    )
    expect(found(result)).toEqual(['src/client/a.ts:3: unknown is public and has no doc comment'])
  })
})

describe('the check of links', () => {
  const there = {
    'docs/a.md': '# One: two\n',
    'src/b.ts': '// [Note: known]\nexport const known = 1\n',
    'package.json': '{"scripts":{"test":"x"}}',
  }

  it('refuses a page that points at nothing', () => {
    const page = '[a](docs/a.md#one-two) [b](docs/b.md) [c](docs/a.md#three) `src/c.ts` `npm run test` `npm run no`\n'
    const result = checkLinks(tree({ ...there, 'README.md': page }))
    expect(found(result)).toEqual([
      'README.md:1: the link to docs/b.md leads nowhere',
      'README.md:1: docs/a.md has no heading #three',
      'README.md:1: src/c.ts does not exist',
      'README.md:1: there is no npm script no',
    ])
  })

  it('refuses a comment that names a file, a symbol or a note that does not exist', () => {
    const comment =
      '// See b.ts and c.ts, {@link known} and {@link lost}, ([Note: known] in b.ts, [Note: lost] in b.ts).\n'
    const result = checkLinks(tree({ ...there, 'src/d.ts': comment }))
    expect(found(result)).toEqual([
      'src/d.ts:1: the comment names c.ts, which does not exist',
      'src/d.ts:1: {@link lost}: there is no such symbol',
      'src/d.ts:1: b.ts has no [Note: lost]',
    ])
  })
})

describe('the check of names', () => {
  it('refuses two files and two exported symbols of one name', () => {
    const result = checkNames(
      tree({
        'src/a/one.ts': 'export const same = 1\n',
        'src/b/one.ts': '',
        'src/b/two.ts': '\nexport type same = 2\n',
      }),
    )
    expect(found(result)).toEqual([
      'src/b/one.ts:1: the file name one.ts stands in src/a/one.ts too',
      'src/b/two.ts:2: the exported symbol same stands in src/a/one.ts too',
    ])
  })

  it('takes adapters of one port, the port itself, and the entry of each folder', () => {
    const result = checkNames(
      tree({
        'src/server/blobs/store.ts': 'export interface Store {}\n',
        'src/server/blobs/file/store.ts': 'export class Store {}\n',
        'src/server/blobs/s3/store.ts': 'export class Store {}\n',
        'src/a/index.ts': '',
        'src/b/index.ts': '',
      }),
    )
    expect(found(result)).toEqual([])
  })
})

describe('the check of commits', () => {
  it('refuses a subject that is too long, not imperative, or prefixed', () => {
    const result = checkCommits([
      { id: '1', subject: `Add ${'x'.repeat(69)}` },
      { id: '2', subject: 'Added a test' },
      { id: '3', subject: 'Removes a test' },
      { id: '4', subject: 'fix a test' },
      { id: '5', subject: 'Tests: look again' },
      { id: '6', subject: 'Add a test.' },
    ])
    expect(result.problems.map(({ file }) => file)).toEqual(
      ['1', '2', '3', '4', '5', '5', '6'].map(id => `commit ${id}`),
    )
  })

  it('takes an imperative', () => {
    const subjects = [
      'Add a test',
      'Pass signals on',
      'Feed the decoder',
      'Address proxies by name',
      'Fix [Note: x]: y',
    ]
    expect(found(checkCommits(subjects.map(subject => ({ id: '1', subject }))))).toEqual([])
  })
})
