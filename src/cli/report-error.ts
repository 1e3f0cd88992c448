import { isSealiftError } from '../protocol/errors.ts'
import { formatSpan } from '../protocol/units.ts'
import type { CliIo } from './cli-io.ts'
import { EXIT, Interrupted, OutputClosed, UsageError } from './exit-codes.ts'
import { explain, stackOf, type Explanation } from './error-text.ts'
import { printJson, say } from './terminal/writer.ts'

export interface ReportOptions {
  readonly json: boolean
  /** True when the same command, given again, goes on where this one stopped. */
  readonly resumes: boolean
}

const RESUME_HINT = 'The same command goes on where this one stopped.'
/** After these it is worth giving the same command again. */
const PASSING = ['network', 'unavailable', 'shutting_down', 'stalled', 'storage_full'] as const

/** Prints an error and returns its exit code. Never rejects. */
export async function reportError(error: unknown, io: CliIo, options: ReportOptions): Promise<number> {
  const reason: unknown = io.signal.aborted ? io.signal.reason : null
  const closed = [reason, error].find(each => each instanceof OutputClosed)
  if (closed) {
    say(io.stderr, `sealift: ${explain(closed).message}`)
    return EXIT.failed
  }
  if (reason instanceof Interrupted) return reportInterrupted(reason, io, options)
  if (io.env['SEALIFT_DEBUG']) say(io.stderr, stackOf(error))
  const explanation = explain(error)
  const again = options.resumes && isSealiftError(error, ...PASSING)
  for (const sentence of sentencesOf(explanation)) say(io.stderr, sentence)
  if (again) say(io.stderr, RESUME_HINT)
  if (options.json) await writeJson(io, explanation)
  return error instanceof UsageError ? EXIT.usage : EXIT.failed
}

async function reportInterrupted(reason: Interrupted, io: CliIo, options: ReportOptions): Promise<number> {
  say(io.stderr, `Stopped.${options.resumes ? ` ${RESUME_HINT}` : ''}`)
  if (options.json) await writeJson(io, { code: 'aborted', message: 'Stopped.' })
  return reason.exitCode
}

function sentencesOf({ message, hint, retryAfterSeconds }: Explanation): string[] {
  const retry =
    retryAfterSeconds === undefined
      ? []
      : [`The server asks to wait ${formatSpan(Math.max(1, Math.ceil(retryAfterSeconds)))}.`]
  return [`sealift: ${message}`, ...(hint === undefined ? [] : [hint]), ...retry]
}

async function writeJson(io: CliIo, error: Explanation): Promise<void> {
  try {
    await printJson(io.stdout, { ok: false, error })
  } catch {
    // The output was closed; the exit code still reports the error.
  }
}
