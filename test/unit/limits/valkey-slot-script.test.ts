/** What the script answers to who asks again, because it does not know what became of its ask. */
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { type ClusterNode, joinCluster } from '../../../src/server/cluster/cluster-node.ts'
import { SlotLedger } from '../../../src/server/limits/valkey/slot-script-client.ts'
import { ANSWER } from '../../../src/server/limits/valkey/slot-script.ts'
import { type RunningValkey, startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'

const CAP = { cap: 1, queue: 10 }

let valkey: RunningValkey
let node: ClusterNode
let ledger: SlotLedger

beforeAll(async () => {
  valkey = await startValkey()
  node = await joinCluster({ url: valkey.facts.url, prefix: 'p:', leaseTtlMs: 60_000, commandTimeoutMs: 20_000 })
  ledger = new SlotLedger({ node, name: 'slots', onGranted: () => undefined, onForgotten: () => undefined })
  await eventually('all have reported', async () => {
    await ledger.ask({ kind: 'reported' })
    return (await ledger.ask({ kind: 'take', line: 'none', ticket: `${node.id}:0`, ...CAP })).code === ANSWER.granted
  })
})

afterAll(async () => {
  await node[Symbol.asyncDispose]()
  await valkey[Symbol.asyncDispose]()
})

const ask = async (kind: 'take' | 'wait' | 'drop', line: string, number: number) => {
  const ticket = `${node.id}:${number}`
  return (await ledger.ask({ kind, line, ticket, ...CAP })).code
}
const lapsesAt = async (line: string, number: number) =>
  Number(await valkey.command('ZSCORE', `p:slots:held:${line}`, `${node.id}:${number}`))

test('a slot whose grant was not heard of is held for a whole lease from when it is', async () => {
  expect(await ask('take', 'asked', 1)).toBe(ANSWER.granted)
  const first = await lapsesAt('asked', 1)
  await pause(20)
  expect(await ask('take', 'asked', 1)).toBe(ANSWER.granted)
  expect(await lapsesAt('asked', 1)).toBeGreaterThan(first)
})

test('so is one that was granted to who stood in line', async () => {
  expect(await ask('take', 'in line', 1)).toBe(ANSWER.granted)
  expect(await ask('take', 'in line', 2)).toBe(ANSWER.waiting)
  expect(await ask('drop', 'in line', 1)).toBe(ANSWER.done)
  const first = await lapsesAt('in line', 2)
  expect(first).toBeGreaterThan(0)
  await pause(20)
  expect(await ask('wait', 'in line', 2)).toBe(ANSWER.granted)
  expect(await lapsesAt('in line', 2)).toBeGreaterThan(first)
})
