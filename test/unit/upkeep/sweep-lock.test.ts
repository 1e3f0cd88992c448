import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import type { RecordStore } from '../../../src/server/records/record-store.ts'
import { DELETIONS_AT_ONCE } from '../../../src/server/upkeep/delete-blobs.ts'
import { SweepLock } from '../../../src/server/upkeep/sweep-lock.ts'
import { createSweeper, type Sweeper } from '../../../src/server/upkeep/sweeper.ts'
import { steady } from '../../support/blob-bytes.ts'
import { eventually } from '../../support/eventually.ts'
import { NOW } from '../../support/record-fixtures.ts'
import { type TempStorage, tempStorage } from '../../support/temp-storage.ts'
import { UpkeepLog } from '../../support/upkeep-log.ts'

const LONG_MS = 600_000
const HOUR = 3_600_000

interface Node {
  readonly sweeper: Sweeper
  readonly log: UpkeepLog
  /** Blobs whose deletion this node asked for. */
  readonly deleted: string[]
}

interface NodeOptions {
  readonly ttlMs?: number
  readonly records?: Partial<RecordStore>
  /** Before each deletion. */
  readonly beforeDelete?: () => Promise<void>
}

describe('sweepers of several nodes', () => {
  let storage: TempStorage
  const nodes: Node[] = []
  const newNode = ({ ttlMs = LONG_MS, records = {}, beforeDelete }: NodeOptions = {}): Node => {
    const log = new UpkeepLog()
    const deleted: string[] = []
    const all = { ...storage.records, ...records }
    const sweeper = createSweeper({
      blobs: watchDeletes(storage, async blobId => {
        deleted.push(blobId)
        await beforeDelete?.()
      }),
      records: all,
      clock: () => NOW,
      settings: () => ({ sweepEveryMs: LONG_MS, orphanGraceMs: HOUR, keepEndedMs: 24 * HOUR }),
      events: log,
      lock: new SweepLock({ records: all, holder: `node ${nodes.length}`, ttlMs: () => ttlMs }),
    })
    const node = { sweeper, log, deleted }
    nodes.push(node)
    return node
  }
  const storeExpired = () => storage.storeMedia(10, { lease: { expiresAt: NOW } })

  beforeEach(async () => {
    storage = await tempStorage()
  })
  afterEach(async () => {
    for (const { sweeper } of nodes.splice(0)) await sweeper[Symbol.asyncDispose]()
    await storage[Symbol.asyncDispose]()
  })

  it('take turns only when the one that sweeps stops: it keeps the lease between its sweeps', async () => {
    const [first, second] = [newNode(), newNode()]
    expect(await first.sweeper.sweep()).toHaveProperty('delete_blobs')
    await storeExpired()
    expect(await second.sweeper.sweep()).toEqual({})
    expect(await first.sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
    await first.sweeper[Symbol.asyncDispose]()
    await storeExpired()
    expect(await second.sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
    expect(second.log.reports).toHaveLength(1)
  })

  it('at once: one of them does it all', async () => {
    for (let index = 0; index < 5; index++) await storeExpired()
    const [first, second, third] = [newNode(), newNode(), newNode()]
    await Promise.all([first, second, third].map(({ sweeper }) => sweeper.sweep()))
    expect([first, second, third].map(({ deleted }) => deleted.length).sort((left, right) => left - right)).toEqual([
      0, 0, 5,
    ])
  })

  it('go on when the one that held the lease died', async () => {
    const [dead, heir] = [newNode({ ttlMs: 20 }), newNode()]
    await dead.sweeper.sweep()
    await storeExpired()
    await eventually('the lease of the dead one lapses', async () => 'delete_blobs' in (await heir.sweeper.sweep()))
    expect(heir.deleted).toHaveLength(1)
  })

  it('one that was blocked past the expiry of its lock stops when it wakes, and harms nothing', async () => {
    const due = DELETIONS_AT_ONCE + 2
    for (let index = 0; index < due; index++) await storeExpired()
    const { promise: wake, resolve } = Promise.withResolvers<void>()
    const sleeper = newNode({ ttlMs: 20, beforeDelete: () => wake })
    const sleeping = sleeper.sweeper.sweep()
    await eventually('it is about to delete', () => sleeper.deleted.length === DELETIONS_AT_ONCE)
    const other = newNode()
    await eventually('another takes over', async () => 'delete_blobs' in (await other.sweeper.sweep()))
    expect(other.deleted).toHaveLength(due)
    const kept = [await storage.storeMedia(10), await storage.storeMedia(10)]
    const another = await storeExpired()
    resolve()
    expect(await sleeping).not.toHaveProperty('delete_blobs')
    expect(sleeper.deleted).toHaveLength(DELETIONS_AT_ONCE)
    expect(sleeper.log).toMatchObject({ failures: [], reports: [] })
    for (const { blobId } of kept) expect(await storage.blobs.stat(blobId)).not.toBeNull()
    expect(await other.sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
    expect(await storage.blobs.stat(another.blobId)).toBeNull()
    expect(await storage.records.auditUsage(false)).toEqual([])
  })

  it('keep the lease through a sweep that takes longer than it lasts', async () => {
    for (let index = 0; index < 4; index++) await storeExpired()
    const busy = newNode({ ttlMs: 30, beforeDelete: () => new Promise(resolve => setTimeout(resolve, 20)) })
    expect(await busy.sweeper.sweep()).toMatchObject({ delete_blobs: 4 })
    expect(busy.log.failures).toEqual([])
  })

  it('report that the sweeping node is unknown, and try again the next time', async () => {
    let away = true
    const node = newNode({
      records: {
        acquireLock: (...args) =>
          away ? Promise.reject(new SealiftError('unavailable', 'Not now')) : storage.records.acquireLock(...args),
      },
    })
    await storeExpired()
    expect(await node.sweeper.sweep()).toEqual({})
    expect(node.log.failures).toMatchObject([{ task: 'take_lease', blobId: null }])
    away = false
    expect(await node.sweeper.sweep()).toMatchObject({ delete_blobs: 1 })
  })

  it('leave an orphan alone that has become known since it was found', async () => {
    const { blobId } = await storage.storeMedia(10)
    await storage.ageFile(blobId, NOW - 2 * HOUR)
    let asked = 0
    const node = newNode({
      records: {
        // What a database returns during a brief failure.
        knownBlobs: async blobIds => (asked++ === 0 ? new Set() : storage.records.knownBlobs(blobIds)),
      },
    })
    expect(await node.sweeper.sweep()).toMatchObject({ delete_orphans: 0 })
    expect(asked).toBe(2)
    expect(await storage.blobs.stat(blobId)).not.toBeNull()
    const found: string[] = []
    for await (const blob of storage.blobs.list(steady())) found.push(blob.blobId)
    expect(found).toEqual([blobId])
  })
})

function watchDeletes({ blobs }: TempStorage, beforeDelete: (blobId: string) => Promise<void>) {
  return {
    putPart: blobs.putPart.bind(blobs),
    read: blobs.read.bind(blobs),
    complete: blobs.complete.bind(blobs),
    list: blobs.list.bind(blobs),
    probe: blobs.probe.bind(blobs),
    async delete(blobId: string) {
      await beforeDelete(blobId)
      await blobs.delete(blobId)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
