import { describe, expect, it } from 'vitest'

import { StoredManifests } from '../../../src/server/parcels/stored-manifests.ts'

const KiB = 1024

/** Records that count what is read of them, and response when they are let. */
function slowRecords(sizeOf: (parcelId: string) => number | null = () => KiB) {
  const reads: string[] = []
  const gates: (() => void)[] = []
  const response = () => gates.splice(0).forEach(open => open())
  const records = {
    async readManifest(parcelId: string, version: number) {
      reads.push(`${parcelId} ${version}`)
      await new Promise<void>(open => gates.push(open))
      const size = sizeOf(parcelId)
      return size === null ? null : new Uint8Array(size)
    },
  }
  return { records, reads, response }
}

describe('stored manifests', () => {
  it('reads a version once for all who ask at the same time, and gives them the same bytes', async () => {
    const { records, reads, response } = slowRecords()
    const manifests = new StoredManifests(records)
    const asked = Array.from({ length: 64 }, () => manifests.open({ parcelId: 'p', version: 1 }))
    response()
    const held = await Promise.all(asked)
    expect(reads).toEqual(['p 1'])
    expect(new Set(held.map(each => each?.bytes)).size).toBe(1)
    expect(manifests.idleBytes).toBe(0)
    for (const each of held) each?.[Symbol.dispose]()
    for (const each of held) each?.[Symbol.dispose]()
    expect(manifests.idleBytes).toBe(KiB)
  })

  it('reads it again for another version, and not for one that was sent a moment ago', async () => {
    const { records, reads, response } = slowRecords()
    const manifests = new StoredManifests(records)
    for (const version of [1, 1, 2, 1]) {
      const asked = manifests.open({ parcelId: 'p', version })
      response()
      using held = await asked
      expect(held?.bytes).toHaveLength(KiB)
    }
    expect(reads).toEqual(['p 1', 'p 2'])
  })

  it('caches unread manifests only up to the limit, the latest first', async () => {
    const { records, reads, response } = slowRecords(parcelId => (parcelId === 'huge' ? 11 * KiB : KiB))
    const manifests = new StoredManifests(records, 10 * KiB)
    const read = async (parcelId: string) => {
      const asked = manifests.open({ parcelId, version: 1 })
      response()
      return asked
    }
    for (let index = 0; index < 100; index += 1) {
      using held = await read(`p${index}`)
      expect(held?.bytes).toHaveLength(KiB)
      expect(manifests.idleBytes).toBeLessThanOrEqual(10 * KiB)
    }
    using _latest = await read('p99')
    using _early = await read('p0')
    expect(reads).toHaveLength(101)
    ;(await read('huge'))?.[Symbol.dispose]()
    expect(manifests.idleBytes).toBeLessThanOrEqual(10 * KiB)
  })

  it('remembers neither an absence nor a failure', async () => {
    let present = false
    let broken = true
    const records = {
      readManifest: async () => {
        if (broken) throw new Error('the database is away')
        return present ? new Uint8Array(3) : null
      },
    }
    const manifests = new StoredManifests(records)
    const open = () => manifests.open({ parcelId: 'p', version: 1 })
    const failed = await Promise.allSettled([open(), open()])
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    broken = false
    expect(await Promise.all([open(), open()])).toEqual([null, null])
    present = true
    using held = await open()
    expect(held?.bytes).toHaveLength(3)
    expect(manifests.idleBytes).toBe(0)
  })
})
