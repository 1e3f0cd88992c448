/** `npm run bench`: Sealift beside what a user would pick instead, in one run on one machine. Loopback only. */
import { writeFile } from 'node:fs/promises'

import { buildInto } from './build.ts'
import type { BenchContext, Row } from './context.ts'
import { splitCores } from './cores.ts'
import { gatherFacts } from './facts.ts'
import { type BenchOptions, parseOptions, USAGE } from './options.ts'
import { drawReport } from './report/svg.ts'
import { type Report, type RowSummary, summarize } from './report/summary.ts'
import { factLines, failureLines, rowLines } from './report/text.ts'
import { ROWS } from './rows/index.ts'
import { runEachRow, type RowFailure } from './run-rows.ts'
import { openWorkspace, type Workspace } from './workspace.ts'

const FULL_RUN_BYTES = 10 * 1024 ** 3
const FULL_ROUNDS = 5
const QUICK_ROUNDS = 2

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) return console.log(USAGE)
  const rows = chooseRows(options)
  const stopping = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort(new Error('Stopped.')))
  await using workspace = await openWorkspace(options.directory)
  if (!options.quick && workspace.freeBytes < FULL_RUN_BYTES) {
    throw new Error('A full run needs 10 GiB of free disk: choose another folder with --dir, or run with --quick.')
  }
  const context = await makeContext(options, workspace, stopping.signal)
  const failures = await runRows(rows, context, report => save(report, options))
  if (failures.length > 0) throw new Error(failureLines(failures).join('\n'))
}

/** After every row: a run that is stopped keeps what it has. */
async function save(report: Report, options: BenchOptions): Promise<void> {
  if (options.json) await writeFile(options.json, `${JSON.stringify(report, null, 2)}\n`)
  if (options.svg) await writeFile(options.svg, drawReport(report))
}

function chooseRows({ only }: BenchOptions): Row[] {
  const unknown = only.filter(name => !ROWS.some(row => row.name === name))
  if (unknown.length > 0) {
    throw new TypeError(`No row is named ${unknown.join(', ')}; there are ${ROWS.map(row => row.name).join(', ')}.`)
  }
  return ROWS.filter(row => only.length === 0 || only.includes(row.name))
}

async function makeContext(options: BenchOptions, workspace: Workspace, signal: AbortSignal): Promise<BenchContext> {
  return {
    workspace,
    build: await buildInto(await workspace.folder('build')),
    cores: await splitCores(),
    quick: options.quick,
    full: options.full,
    rounds: options.rounds ?? (options.quick ? QUICK_ROUNDS : FULL_ROUNDS),
    signal,
    progress: text => process.stderr.write(`${text}\n`),
  }
}

async function runRows(
  rows: readonly Row[],
  context: BenchContext,
  keep: (report: Report) => Promise<void>,
): Promise<readonly RowFailure[]> {
  const facts = await gatherFacts(context.workspace)
  const done: RowSummary[] = []
  const report = { madeAt: new Date().toISOString(), quick: context.quick, rounds: context.rounds, facts, rows: done }
  console.log(`${factLines(report).join('\n')}\n`)
  return runEachRow({
    rows,
    signal: context.signal,
    async run(row: Row) {
      context.progress(`-- ${row.title}`)
      return summarize(await row.run(context))
    },
    async onDone(summary) {
      done.push(summary)
      await keep(report)
      console.log(`${rowLines(summary).join('\n')}\n`)
    },
    onFailed: failure => console.log(`${failure.title} (${failure.row})\n  FAILED: ${failure.message}\n`),
  })
}

try {
  await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
