// `npm test [-- vitest arguments]`, `npm run test:long`: runs the suites, says which were left out and why, and ends with one line of counts.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { missingRequirements } from '../test/support/requirements.ts'

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
}

const passedOn = process.argv.slice(2).filter(argument => argument !== '--long')
const long = process.argv.includes('--long')
const folder = mkdtempSync(join(tmpdir(), 'sealift-test-'))
const reportFile = join(folder, 'report.json')

const run = spawnSync(
  'npx',
  ['vitest', 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...passedOn],
  { stdio: 'inherit', env: { ...process.env, SEALIFT_TEST_LONG: String(long) } },
)
const report = readReport()
rmSync(folder, { recursive: true, force: true })

const missing = missingRequirements()
for (const { name, packages, files } of missing)
  console.log(`Left out, because ${name} is missing (Debian: ${packages.join(' ')}): ${files.join(', ')}`)

const leftOutIsFailure = process.env['CI'] === 'true' && missing.length > 0
if (leftOutIsFailure) console.log('CI=true: a suite that is left out counts as a failure.')

// A file that cannot even be loaded has no failed test of its own, yet must not pass unseen.
const failed =
  Math.max(report.numFailedTests, report.numFailedTestSuites > 0 ? 1 : 0) + (leftOutIsFailure ? missing.length : 0)
console.log(`${report.numPassedTests} passed, ${failed} failed`)
process.exitCode = run.status === 0 && failed === 0 ? 0 : 1

function readReport(): Report {
  try {
    return JSON.parse(readFileSync(reportFile, 'utf8')) as Report
  } catch {
    return { numPassedTests: 0, numFailedTests: 1, numFailedTestSuites: 1 }
  }
}
