// `npm run check:tree`: the rules of the repository that neither the compiler nor lint knows. Arguments choose checks
// by name.
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

import { addedCommits, checkCommits } from './commits.ts'
import { checkDocComments } from './doc-comments.ts'
import { checkLayers } from './layers.ts'
import { checkLinks } from './links.ts'
import { checkNames } from './names.ts'
import { checkPublicSymbols } from './public-symbols.ts'
import { readSourceTree, type CheckResult } from './source-tree.ts'
import { checkWords } from './words.ts'

const root = resolve(fileURLToPath(import.meta.url), '../../..')
const tree = readSourceTree(root)
const checks: Readonly<Record<string, () => CheckResult>> = {
  words: () => checkWords(tree),
  'doc-comments': () => checkDocComments(tree),
  'public-symbols': () => checkPublicSymbols(tree),
  links: () => checkLinks(tree),
  names: () => checkNames(tree),
  layers: () => checkLayers(tree),
  commits: () => {
    const commits = addedCommits(root, process.env['SEALIFT_CHECK_BASE'])
    return commits ? checkCommits(commits) : { looked: 'no history here', problems: [] }
  },
}

const chosen = process.argv.slice(2)
for (const [name, check] of Object.entries(checks)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue
  const { looked, problems } = check()
  for (const { file, line, message } of problems) console.error(`${file}:${line}: ${message}`)
  console.log(`${name}: ${looked}, ${problems.length === 0 ? 'no problem' : `${problems.length} problems`}`)
  if (problems.length > 0) process.exitCode = 1
}
