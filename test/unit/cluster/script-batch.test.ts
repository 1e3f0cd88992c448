import { expect, test } from 'vitest'

import { ScriptBatch } from '../../../src/server/cluster/script-batch.ts'

const world = () => {
  const sent: (readonly string[])[] = []
  const batch = new ScriptBatch<string, string>({
    max: 3,
    async send(asked) {
      sent.push(asked)
      await Promise.resolve()
      return asked.map(ask => `answer to ${ask}`)
    },
  })
  return { batch, sent }
}

test('what is asked in one turn goes out together, up to the most, in order', async () => {
  const { batch, sent } = world()
  const answers = await Promise.all(['a', 'b', 'c', 'd'].map(ask => batch.ask(ask)))
  expect(sent).toEqual([['a', 'b', 'c'], ['d']])
  expect(answers).toEqual(['answer to a', 'answer to b', 'answer to c', 'answer to d'])
})

test('what an answer makes somebody ask, however soon after it, is sent by itself', async () => {
  for (let turns = 0; turns < 6; turns += 1) {
    const { batch, sent } = world()
    await batch.ask('first')
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    expect(await batch.ask('second')).toBe('answer to second')
    expect(sent).toEqual([['first'], ['second']])
    await batch.idle()
  }
})

test('a failure is told to all of one batch, and the next one is sent', async () => {
  let calls = 0
  const batch = new ScriptBatch<string, string>({
    send(asked) {
      calls += 1
      return calls === 1 ? Promise.reject(new Error('broken')) : Promise.resolve([...asked])
    },
  })
  const first = await Promise.allSettled([batch.ask('a'), batch.ask('b')])
  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await batch.ask('c')).toBe('c')
})
