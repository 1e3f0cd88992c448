import { expect, test } from 'vitest'

import { ScriptBatch } from '../../../src/server/cluster/script-batch.ts'

const world = () => {
  const sent: (readonly string[])[] = []
  const batch = new ScriptBatch<string, string>({
    max: 3,
    async send(items) {
      sent.push(items)
      await Promise.resolve()
      return items.map(item => `reply to ${item}`)
    },
  })
  return { batch, sent }
}

test('items of one turn go out together, up to the maximum, in order', async () => {
  const { batch, sent } = world()
  const replies = await Promise.all(['a', 'b', 'c', 'd'].map(item => batch.ask(item)))
  expect(sent).toEqual([['a', 'b', 'c'], ['d']])
  expect(replies).toEqual(['reply to a', 'reply to b', 'reply to c', 'reply to d'])
})

test('an item added after a reply, however soon, is sent by itself', async () => {
  for (let turns = 0; turns < 6; turns += 1) {
    const { batch, sent } = world()
    await batch.ask('first')
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
    expect(await batch.ask('second')).toBe('reply to second')
    expect(sent).toEqual([['first'], ['second']])
    await batch.idle()
  }
})

test('a failure rejects all items of its batch, and the next batch is sent', async () => {
  let calls = 0
  const batch = new ScriptBatch<string, string>({
    send(items) {
      calls += 1
      return calls === 1 ? Promise.reject(new Error('broken')) : Promise.resolve([...items])
    },
  })
  const first = await Promise.allSettled([batch.ask('a'), batch.ask('b')])
  expect(first.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await batch.ask('c')).toBe('c')
})
