import { SealiftError } from '../../protocol/errors.ts'

/** One mistake in the configuration. Never holds a value: it may be a secret. */
export interface ConfigProblem {
  /** The key as it is written, `listen.port`; `''` when the mistake is in no single key. */
  readonly key: string
  readonly message: string
  /** Where it was set: `sealift.yaml:12`, `SEALIFT_LISTEN_PORT`, `--port`; `null` when it was set nowhere. */
  readonly origin: string | null
}

/** Every mistake of a configuration at once. */
export class ConfigError extends SealiftError {
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super('invalid_request', `The configuration is not valid:\n${problems.map(formatProblem).join('\n')}`)
    this.problems = problems
  }
}

/** `  listen.port (sealift.yaml:12): must be a whole number from 0 to 65535` */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.origin === null ? '' : problem.key === '' ? problem.origin : ` (${problem.origin})`
  return `  ${problem.key}${place}: ${problem.message}`
}

/** The one of `candidates` that `word` most likely was meant to be; `null` when none is near. */
export function suggest(word: string, candidates: readonly string[]): string | null {
  const plain = simplify(word)
  let best: { readonly candidate: string; readonly distance: number } | null = null
  for (const candidate of candidates) {
    const distance = editDistance(plain, simplify(candidate))
    if (distance <= Math.max(2, Math.floor(plain.length / 3)) && (best === null || distance < best.distance)) {
      best = { candidate, distance }
    }
  }
  return best?.candidate ?? null
}

/** Case, separators and the suffixes that names have inside the program do not count. */
function simplify(word: string): string {
  return word
    .replaceAll(/[_-]/g, '')
    .replace(/(Ms|Seconds)$/, '')
    .toLowerCase()
    .slice(0, 64)
}

/** Levenshtein distance, one row at a time. */
export function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
