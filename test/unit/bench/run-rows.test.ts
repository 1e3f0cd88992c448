import { expect, test } from 'vitest'

import { failureLines } from '../../../bench/report/text.ts'
import { runEachRow, type RowFailure } from '../../../bench/run-rows.ts'

const rows = ['download', 'memory', 'upload'].map(name => ({ name, title: `Title of ${name}` }))

async function measure(run: (name: string) => Promise<string>, signal = new AbortController().signal) {
  const done: string[] = []
  const told: RowFailure[] = []
  const failures = await runEachRow({
    rows,
    signal,
    run: row => run(row.name),
    onDone: async result => void done.push(result),
    onFailed: failure => told.push(failure),
  })
  return { done, told, failures }
}

test('a row that fails is reported, and the others are measured', async () => {
  const { done, told, failures } = await measure(async name => {
    if (name === 'memory') throw new Error('read ECONNRESET')
    return name
  })
  expect(done).toEqual(['download', 'upload'])
  expect(told).toEqual([{ row: 'memory', title: 'Title of memory', message: 'read ECONNRESET' }])
  expect(failures).toEqual(told)
  expect(failureLines(failures).join('\n')).toMatch(/^1 row failed.*\n {2}memory: read ECONNRESET$/)
})

test('a run without a failure names none', async () => {
  expect(await measure(async name => name)).toMatchObject({ done: ['download', 'memory', 'upload'], failures: [] })
})

test('a run that is stopped ends at once, and blames no row', async () => {
  const stop = new AbortController()
  const seen: string[] = []
  const measuring = measure(async name => {
    seen.push(name)
    stop.abort(new Error('Stopped.'))
    throw new Error('killed')
  }, stop.signal)
  await expect(measuring).rejects.toThrow('Stopped.')
  expect(seen).toEqual(['download'])
})
