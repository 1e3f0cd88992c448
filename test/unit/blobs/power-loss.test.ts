import { describe, expect, it } from 'vitest'

import { type FileBlobStore, openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { freshId, piecesOf, readBytes, steady } from '../../support/blob-bytes.ts'
import { hookedFileSystem, Stopper } from '../../support/hooked-file-system.ts'
import { powerLossDisk, type PowerLossDisk } from '../../support/power-loss-disk.ts'
import { bytesFor, type Random, seededRandom } from '../../support/random.ts'

const PART = 3 * 4096
const BYTES = bytesFor('power loss', 2 * PART + 5000)
const WHOLE = { complete: true, sizeBytes: BYTES.length }
const SEEDS = Array.from({ length: 30 }, (_, index) => index + 1)

type Fact = 'part 0' | 'part 1' | 'part 2' | 'complete' | 'delete asked'

interface Life {
  readonly blobId: string
  /** What was acknowledged (or, for the deletion, asked) before the power went. */
  readonly facts: Set<Fact>
}

const blobOf = ({ blobId }: Life) => ({ blobId, partBytes: PART })
const partAt = (index: number) => BYTES.subarray(index * PART, (index + 1) * PART)

async function live(store: FileBlobStore, life: Life): Promise<void> {
  const put = async (index: 0 | 1 | 2) => {
    const part = { ...blobOf(life), index, sizeBytes: partAt(index).length }
    await store.putPart(part, piecesOf(partAt(index), 5000), steady())
    life.facts.add(`part ${index}`)
  }
  const extra = { ...blobOf(life), index: 3, sizeBytes: 100 }
  const neverRecorded = store.putPart(extra, piecesOf(bytesFor('never recorded', 100)), steady())
  await Promise.all([put(2), neverRecorded, put(0), put(1)])
  await store.probe()
  await store.complete(blobOf(life), BYTES.length)
  life.facts.add('complete')
  await store.probe()
  life.facts.add('delete asked')
  await store.delete(life.blobId)
}

/** Runs a life until its nth, delayed operation on the disk. @returns whether the power failed before its end */
async function liveUntil(disk: PowerLossDisk, operations: number, life: Life, random: Random): Promise<boolean> {
  const stopper = new Stopper(operations)
  const fileSystem = hookedFileSystem(disk, async () => {
    await someTurns(random)
    await stopper.before()
  })
  const whole = async () => live(await openFileBlobStore({ directory: '/store', fileSystem }), life)
  const over = await Promise.race([whole().then(() => true), stopper.stopped.then(() => false)])
  return !over
}

async function someTurns(random: Random): Promise<void> {
  for (let turns = random.int(6); turns > 0; turns--) await new Promise(resolve => setImmediate(resolve))
}

/** Throws when the disk contradicts what was acknowledged, or the upload cannot be brought to its end. */
async function audit(disk: PowerLossDisk, life: Life): Promise<void> {
  const store = await openFileBlobStore({ directory: '/store', fileSystem: disk })
  if (life.facts.has('delete asked')) return store.delete(life.blobId)
  for (const index of [0, 1, 2] as const) {
    const start = index * PART
    if (life.facts.has(`part ${index}`)) {
      const read = await readBytes(store, blobOf(life), { start, end: start + partAt(index).length })
      expect(read.equals(partAt(index)), `part ${index}`).toBe(true)
    } else {
      await store.putPart({ ...blobOf(life), index, sizeBytes: null }, piecesOf(partAt(index)), steady())
    }
  }
  if (life.facts.has('complete')) expect(await store.stat(life.blobId)).toMatchObject(WHOLE)
  await store.complete(blobOf(life), BYTES.length)
  expect(await store.stat(life.blobId)).toMatchObject(WHOLE)
  expect((await readBytes(store, blobOf(life), { start: 0, end: BYTES.length })).equals(BYTES)).toBe(true)
}

/** Cuts the power at every operation, with several outcomes each. @returns how many cuts there were */
async function cutEverywhere({ honest }: { honest: boolean }): Promise<number> {
  const finished = new Set<number>()
  let cuts = 0
  for (let operations = 0; finished.size < SEEDS.length; operations++) {
    for (const seed of SEEDS) {
      if (finished.has(seed)) continue
      cuts += 1
      const life: Life = { blobId: freshId(), facts: new Set() }
      const random = seededRandom(seed)
      const disk = powerLossDisk({ honest, pause: () => someTurns(random) })
      if (!(await liveUntil(disk, operations, life, random))) finished.add(seed)
      else await audit(disk.afterPowerLoss(random), life)
    }
  }
  return cuts
}

describe('losing power at every single operation of the disk', () => {
  it('loses no part that was acknowledged, and every upload can be brought to its end', async () => {
    expect(await cutEverywhere({ honest: true })).toBeGreaterThan(25 * SEEDS.length)
  })

  it('would be noticed here if nothing were really synced', async () => {
    await expect(cutEverywhere({ honest: false })).rejects.toThrow(/missing|end too early|part \d/)
  })
})
