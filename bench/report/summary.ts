/** A row's figures as they are kept and printed. */
import type { Aim, RowResult, Subject } from '../context.ts'
import type { Facts } from '../facts.ts'
import { type Spread, spreadOf } from '../statistics.ts'

export interface SubjectSummary extends Spread {
  readonly name: string
  /** Processor seconds of the server for one measurement; absent where they mean nothing. */
  readonly serverCpuSeconds?: number
}

export interface AimSummary extends Spread {
  readonly label: string
  readonly unit: string
  readonly atLeast?: number
  readonly atMost?: number
  /** `null`: a ratio that is reported without an aim. */
  readonly met: boolean | null
}

export interface RowSummary {
  readonly row: string
  readonly title: string
  readonly unit: string
  readonly subjects: readonly SubjectSummary[]
  readonly aims: readonly AimSummary[]
  readonly notes: readonly string[]
}

export interface Report {
  readonly madeAt: string
  readonly quick: boolean
  readonly rounds: number
  readonly facts: Facts
  readonly rows: readonly RowSummary[]
}

export function summarize(result: RowResult): RowSummary {
  return { ...result, subjects: result.subjects.map(summarizeSubject), aims: result.aims.map(summarizeAim) }
}

function summarizeSubject({ name, samples }: Subject): SubjectSummary {
  const cpu = samples.flatMap(sample => (sample.serverCpuSeconds === undefined ? [] : [sample.serverCpuSeconds]))
  return {
    name,
    ...rounded(spreadOf(samples.map(sample => sample.value))),
    ...(cpu.length > 0 ? { serverCpuSeconds: significant(spreadOf(cpu).median) } : {}),
  }
}

/** An aim is met by the median of its rounds. */
function summarizeAim({ label, ratios, atLeast, atMost, unit = '×' }: Aim): AimSummary {
  const spread = spreadOf(ratios)
  const judged = atLeast !== undefined || atMost !== undefined
  return {
    label,
    unit,
    ...rounded(spread),
    ...(atLeast === undefined ? {} : { atLeast }),
    ...(atMost === undefined ? {} : { atMost }),
    met: judged ? spread.median >= (atLeast ?? -Infinity) && spread.median <= (atMost ?? Infinity) : null,
  }
}

function rounded({ median, low, high }: Spread): Spread {
  return { median: significant(median), low: significant(low), high: significant(high) }
}

function significant(value: number): number {
  return Number(value.toPrecision(4))
}
