import type { Report } from './summary.ts'

export function drawReport(report: Report): string {
  return JSON.stringify(report)
}
