/**
 * `npm test [-- vitest arguments]`, `npm run test:long`: runs the suites on files and SQLite, then those that look at a
 * server from outside once more on two nodes with S3, PostgreSQL and Valkey. Says what was left out and why, and ends
 * with what failed and one line of counts. `SEALIFT_TEST_STORES=files` or `=cluster` runs one of the two alone.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { missingFor } from '../test/support/requirements.ts'
import { missingEngines, NOT_ON_CLUSTER } from '../test/support/suites.ts'
import { readTestReport } from './test-report.ts'

interface Counts {
  readonly passed: number
  readonly failed: number
}

const passedOn = process.argv.slice(2).filter(argument => argument !== '--long')
const long = process.argv.includes('--long')
const chosen = process.env['SEALIFT_TEST_STORES']

const passes: Counts[] = []
const failuresSeen: string[] = []
if (chosen !== 'cluster') passes.push(runOnFiles())
if (chosen !== 'files' && !long) passes.push(runOnCluster())

const passed = passes.reduce((sum, counts) => sum + counts.passed, 0)
const failed = passes.reduce((sum, counts) => sum + counts.failed, 0)
// Once more at the end: the output of a run is long, and what a machine keeps of it may be its end alone.
for (const failure of failuresSeen) console.log(`\nFAILED ${failure}\n`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function runOnFiles(): Counts {
  const counts = runSuites('files', [])
  const missing = missingFor(long ? 'long' : 'short')
  for (const { name, packages, otherwise = `Debian: ${packages.join(' ')}`, files } of missing)
    console.log(`Left out, because ${name} is missing (${otherwise}): ${files.join(', ')}`)
  return withLeftOut(counts, missing.length)
}

function runOnCluster(): Counts {
  const missing = missingEngines()
  if (missing.length > 0) {
    const what = missing.map(({ name, packages }) => `${name} (Debian: ${packages.join(' ')})`).join(', ')
    console.log(
      `Left out: the second run, on two nodes with S3, PostgreSQL and Valkey, because these are missing: ${what}`,
    )
    return withLeftOut({ passed: 0, failed: 0 }, 1)
  }
  console.log('Once more on two nodes with S3, PostgreSQL and Valkey. Not about these stores:')
  for (const [file, why] of Object.entries(NOT_ON_CLUSTER)) console.log(`  ${file} ${why}`)
  // What was asked for may be none of the suites that run here.
  return runSuites('cluster', ['--passWithNoTests'])
}

function withLeftOut({ passed: done, failed: bad }: Counts, leftOut: number): Counts {
  if (process.env['CI'] !== 'true' || leftOut === 0) return { passed: done, failed: bad }
  console.log('CI=true: what is left out counts as a failure.')
  return { passed: done, failed: bad + leftOut }
}

function runSuites(stores: 'files' | 'cluster', options: readonly string[]): Counts {
  const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'))
  const reportFile = join(folder, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`]
  const { status } = spawnSync('npx', ['vitest', 'run', ...reporters, ...options, ...passedOn], {
    stdio: 'inherit',
    env: { ...process.env, SEALIFT_TEST_LONG: String(long), SEALIFT_TEST_STORES: stores },
  })
  const { passed, failed, failures } = readTestReport(reportFile, status)
  rmSync(folder, { recursive: true, force: true })
  failuresSeen.push(...failures.map(failure => `On ${stores}: ${failure}`))
  return { passed, failed }
}
