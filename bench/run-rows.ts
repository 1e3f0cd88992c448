/** Runs rows one after the other. A row that fails is reported, and the others run all the same. */
import type { Row, RowResult } from './context.ts'

export interface RowFailure {
  readonly row: string
  readonly title: string
  readonly message: string
}

export interface RunRowsOptions<R extends Pick<Row, 'name' | 'title'>, Result> {
  readonly rows: readonly R[]
  /** Ends the run: what fails from then on is no failure of a row. */
  readonly signal: AbortSignal
  run(row: R): Promise<Result>
  onDone(result: Result): Promise<void>
  onFailed(failure: RowFailure): void
}

/** @returns the rows that failed; @throws the reason of the signal once it has aborted, and what `onDone` throws */
export async function runEachRow<R extends Pick<Row, 'name' | 'title'>, Result = RowResult>(
  options: RunRowsOptions<R, Result>,
): Promise<readonly RowFailure[]> {
  const failures: RowFailure[] = []
  for (const row of options.rows) {
    options.signal.throwIfAborted()
    const outcome = await attempt(options, row)
    options.signal.throwIfAborted()
    if ('failure' in outcome) {
      failures.push(outcome.failure)
      options.onFailed(outcome.failure)
    } else await options.onDone(outcome.result)
  }
  return failures
}

async function attempt<R extends Pick<Row, 'name' | 'title'>, Result>(
  { run }: Pick<RunRowsOptions<R, Result>, 'run'>,
  row: R,
): Promise<{ readonly result: Result } | { readonly failure: RowFailure }> {
  try {
    return { result: await run(row) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { failure: { row: row.name, title: row.title, message } }
  }
}
