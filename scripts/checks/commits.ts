import { spawnSync } from 'node:child_process'

import type { CheckResult } from './source-tree.ts'

const MAX_SUBJECT = 72
const THIRD_PERSON = new Set(
  (
    'adds removes fixes makes changes moves renames uses lets gives keeps takes says tells writes reads sends stops ' +
    'starts drops shows tests checks updates allows refuses returns turns puts sets splits merges corrects holds goes docs'
  ).split(' '),
)
const IMPERATIVES_LIKE_OTHERS = new Set('bring embed feed need ping proceed seed shed speed spring string'.split(' '))

export interface Commit {
  readonly id: string
  readonly subject: string
}

/** Subjects are imperative, begin with a capital, and have at most 72 characters. Merges are left out. */
export function checkCommits(commits: readonly Commit[]): CheckResult {
  return {
    looked: `${commits.length} ${commits.length === 1 ? 'commit' : 'commits'}`,
    problems: commits.flatMap(({ id, subject }) =>
      complaints(subject).map(message => ({ file: `commit ${id}`, line: 1, message: `${message}: ${subject}` })),
    ),
  }
}

function complaints(subject: string): string[] {
  const first = /^[\w-]+/.exec(subject)?.[0] ?? ''
  const found: string[] = []
  if (subject.length > MAX_SUBJECT) found.push(`${subject.length} characters, at most ${MAX_SUBJECT} fit`)
  if (!/^[A-Z]/.test(subject)) found.push('the subject begins with a capital letter')
  if (subject.endsWith('.')) found.push('the subject ends without a full stop')
  if (!isImperative(first.toLowerCase())) found.push(`"${first}" is not imperative: write "Add", not "Added" or "Adds"`)
  if (/^[\w-]+:/.test(subject)) found.push('the subject begins with its verb, without a prefix')
  return found
}

function isImperative(word: string): boolean {
  if (IMPERATIVES_LIKE_OTHERS.has(word)) return true
  return !/(?:ed|ing)$/.test(word) && !THIRD_PERSON.has(word)
}

/**
 * The commits that a change adds: those since `base` (SEALIFT_CHECK_BASE), since the branch on the server, or the last
 * one alone. `null`: there is no history here.
 */
export function addedCommits(root: string, base: string | undefined): Commit[] | null {
  const named = [base, 'origin/HEAD', 'origin/main'].filter(each => each !== undefined && each !== '')
  const since = named.find(each => git(root, 'rev-parse', '--verify', '--quiet', `${each}^{commit}`) !== null)
  const log = git(
    root,
    'log',
    '--no-merges',
    '--format=%h%x09%s',
    ...(since === undefined ? ['-1'] : [`${since}..HEAD`]),
  )
  return (
    log
      ?.split('\n')
      .filter(line => line !== '')
      .map(line => ({ id: line.slice(0, line.indexOf('\t')), subject: line.slice(line.indexOf('\t') + 1) })) ?? null
  )
}

function git(root: string, ...args: string[]): string | null {
  const { status, stdout } = spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' })
  return status === 0 ? stdout : null
}
