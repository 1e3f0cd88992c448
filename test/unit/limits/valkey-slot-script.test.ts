/** Replies of the script to a command that is repeated because its reply was lost. */
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { type ClusterNode, joinCluster } from '../../../src/server/cluster/cluster-node.ts'
import { SlotScriptClient } from '../../../src/server/limits/valkey/slot-script-client.ts'
import { REPLY } from '../../../src/server/limits/valkey/slot-script.ts'
import { type RunningValkey, startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'

const CAP = { cap: 1, queue: 10 }

let valkey: RunningValkey
let node: ClusterNode
let script: SlotScriptClient

beforeAll(async () => {
  valkey = await startValkey()
  node = await joinCluster({ url: valkey.facts.url, prefix: 'p:', leaseTtlMs: 60_000, commandTimeoutMs: 20_000 })
  script = new SlotScriptClient({ node, name: 'slots', onGranted: () => undefined, onForgotten: () => undefined })
  await eventually('all have reported', async () => {
    await script.run({ kind: 'reported' })
    return (await script.run({ kind: 'take', key: 'none', hold: `${node.id}:0`, ...CAP })).code === REPLY.granted
  })
})

afterAll(async () => {
  await node[Symbol.asyncDispose]()
  await valkey[Symbol.asyncDispose]()
})

const run = async (kind: 'take' | 'requeue' | 'release', key: string, number: number) => {
  const hold = `${node.id}:${number}`
  return (await script.run({ kind, key, hold, ...CAP })).code
}
const expiresAt = async (key: string, number: number) =>
  Number(await valkey.command('ZSCORE', `p:slots:held:${key}`, `${node.id}:${number}`))

test('a slot whose grant was lost is held for a full lease from the repeated command on', async () => {
  expect(await run('take', 'asked', 1)).toBe(REPLY.granted)
  const first = await expiresAt('asked', 1)
  await pause(20)
  expect(await run('take', 'asked', 1)).toBe(REPLY.granted)
  expect(await expiresAt('asked', 1)).toBeGreaterThan(first)
})

test('so is a slot that was granted to a queued request', async () => {
  expect(await run('take', 'queued', 1)).toBe(REPLY.granted)
  expect(await run('take', 'queued', 2)).toBe(REPLY.waiting)
  expect(await run('release', 'queued', 1)).toBe(REPLY.done)
  const first = await expiresAt('queued', 2)
  expect(first).toBeGreaterThan(0)
  await pause(20)
  expect(await run('requeue', 'queued', 2)).toBe(REPLY.granted)
  expect(await expiresAt('queued', 2)).toBeGreaterThan(first)
})
