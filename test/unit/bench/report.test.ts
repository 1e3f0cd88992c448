import { describe, expect, it } from 'vitest'

import { drawReport } from '../../../bench/report/svg.ts'
import { type Report, summarize } from '../../../bench/report/summary.ts'
import { rowLines } from '../../../bench/report/text.ts'
import { aimsAgainst } from '../../../bench/rows/against.ts'
import { pairedRatios, spreadOf } from '../../../bench/statistics.ts'

const subjects = [
  { name: 'Sealift', samples: [{ value: 90 }, { value: 100 }, { value: 40 }] },
  { name: 'nginx & <friends>', samples: [{ value: 100 }, { value: 200 }, { value: 50 }] },
]

function row(atLeast?: number) {
  const bound = { peer: 'nginx & <friends>', ...(atLeast === undefined ? {} : { atLeast }) }
  return summarize({
    row: 'download',
    title: 'Download',
    unit: 'MB/s',
    subjects,
    aims: aimsAgainst(subjects, [bound]),
    notes: ['A note.'],
  })
}

describe('benchmark figures', () => {
  it('take the middle of odd and even numbers of rounds', () => {
    expect(spreadOf([3, 1, 2])).toEqual({ median: 2, low: 1, high: 3 })
    expect(spreadOf([4, 1, 2, 3])).toEqual({ median: 2.5, low: 1, high: 4 })
  })

  it('refuse to speak of no rounds at all', () => {
    expect(() => spreadOf([])).toThrow(RangeError)
  })

  it('compare round by round', () => {
    expect(pairedRatios([90, 100], [100, 200, 50])).toEqual([0.9, 0.5])
  })

  it('judge an aim by the median of its rounds', () => {
    expect(row(0.8).aims[0]).toMatchObject({ median: 0.8, low: 0.5, high: 0.9, met: true })
    expect(row(0.81).aims[0]?.met).toBe(false)
  })

  it('do not judge a ratio that has no aim', () => {
    expect(row().aims[0]?.met).toBeNull()
  })

  it('leave out the comparison with a peer that took no part', () => {
    expect(aimsAgainst(subjects, [{ peer: 'absent', atLeast: 1 }])).toEqual([])
  })

  it('turn the ratio round where smaller is better', () => {
    const [aim] = aimsAgainst(subjects, [{ peer: 'nginx & <friends>', atLeast: 1, smallerWins: true }])
    expect(aim?.ratios).toEqual([100 / 90, 2, 1.25])
  })

  it('are printed with aim and verdict', () => {
    const lines = rowLines(row(0.81)).join('\n')
    expect(lines).toContain('aim ≥ 0.81 ×: MISSED')
    expect(lines).toContain('A note.')
  })

  it('are drawn as well-formed XML', () => {
    const svg = drawReport(reportOf(row(0.8)))
    expect(svg).toContain('nginx &amp; &lt;friends>')
    expect(svg.match(/&(?!amp;|lt;|quot;)/)).toBeNull()
  })
})

function reportOf(only: ReturnType<typeof row>): Report {
  const facts = { cores: 2, processor: 'x', memoryGiB: 4, kernel: '6', fileSystem: 'ext4', versions: { node: '24' } }
  return { madeAt: '2026-01-01T00:00:00.000Z', quick: false, rounds: 3, facts, rows: [only] }
}
