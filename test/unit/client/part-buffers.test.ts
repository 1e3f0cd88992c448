import { expect, test } from 'vitest'

import { PartBuffers, type PartBuffer } from '../../../src/client/bytes/buffers.ts'
import { eventually } from '../../support/eventually.ts'

const MIB = 1024 * 1024
const { signal } = new AbortController()

/** Asks for `count` buffers of a size; `held` is how many came, `free` releases one. */
function askFor(buffers: PartBuffers, count: number, bytes: number) {
  const held: PartBuffer[] = []
  for (let asked = 0; asked < count; asked += 1) void buffers.acquire(bytes, signal).then(buffer => held.push(buffer))
  return { held, free: () => held.shift()?.release() }
}

/** Everything that can be granted by now has been. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test.each([
  { bytes: 256 * 1024, held: 3 },
  { bytes: MIB, held: 3 },
  { bytes: 8 * MIB, held: 3 },
  { bytes: 12 * MIB, held: 2 },
  { bytes: 64 * MIB, held: 1 },
])('of three parts, $held of $bytes bytes are in flight at once', async ({ bytes, held }) => {
  const asked = askFor(new PartBuffers(3, size => new Uint8Array(size)), 9, bytes)
  await settled()
  expect(asked.held.length).toBe(held)
  asked.free()
  await eventually('the next one is granted', () => asked.held.length === held)
})

test('a buffer is used again, and those apart are others', async () => {
  const made: number[] = []
  const buffers = new PartBuffers(1, size => {
    made.push(size)
    return new Uint8Array(size)
  })
  for (let round = 0; round < 3; round += 1) (await buffers.acquire(MIB, signal)).release()
  expect(made).toEqual([MIB])
  await buffers.acquire(MIB, signal)
  const apart = askFor(buffers.apart(2), 9, MIB)
  await settled()
  expect(apart.held.length).toBe(3)
})
