/** What vitest's JSON report says, as far as `scripts/test.ts` needs it. */
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

export interface TestReport {
  readonly passed: number
  readonly failed: number
  /** Of each failed test, and of each file that did not load: where it is, and why it failed. */
  readonly failures: readonly string[]
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numFailedTestSuites: number
  readonly testResults: readonly FileResult[]
}

interface FileResult {
  readonly name: string
  readonly status: string
  readonly message: string
  readonly assertionResults: readonly TestResult[]
}

interface TestResult {
  readonly fullName: string
  readonly status: string
  readonly failureMessages?: readonly string[]
}

/** Enough to see what was expected and where; the whole text stands where the test ran. */
const LINES_OF_A_FAILURE = 25

/**
 * @param file what vitest's reporter `json` wrote
 * @param status what vitest ended with: a run that broke must not pass unseen, even when no test of it failed; nor must
 *   a file that could not be loaded, which has no failed test of its own
 */
export function readTestReport(file: string, status: number | null): TestReport {
  const report = parse(file)
  if (report === undefined) return { passed: 0, failed: 1, failures: ['The run ended before it could be reported.'] }
  const broken = report.numFailedTestSuites > 0 || status !== 0 ? 1 : 0
  const failures = report.testResults.flatMap(failuresOf)
  if (broken > 0 && failures.length === 0)
    failures.push(`No test failed, but the run ended with ${status}: the error above was caught by no test.`)
  return { passed: report.numPassedTests, failed: Math.max(report.numFailedTests, broken), failures }
}

function parse(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport
  } catch {
    return undefined
  }
}

function failuresOf({ name, status, message, assertionResults }: FileResult): readonly string[] {
  const path = relative(process.cwd(), name)
  const failed = assertionResults.filter(test => test.status === 'failed')
  if (failed.length === 0) return status === 'failed' ? [`${path}\n${shortened(message)}`] : []
  return failed.map(test => `${path} > ${test.fullName}\n${shortened((test.failureMessages ?? []).join('\n'))}`)
}

function shortened(text: string): string {
  const lines = text.split('\n').filter(line => !line.includes('/node_modules/'))
  return lines.slice(0, LINES_OF_A_FAILURE).join('\n')
}
