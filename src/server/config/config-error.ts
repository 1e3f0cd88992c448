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
