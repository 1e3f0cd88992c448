import { describe, expect, it } from 'vitest'

import { BlockPool } from '../../../src/server/blobs/s3/gathered-bytes.ts'
import { BufferedPart } from '../../../src/server/blobs/s3/buffered-part.ts'
import { ByteBudget } from '../../../src/server/buffers/byte-budget.ts'
import { tryOnce } from '../../../src/server/blobs/s3/request-retries.ts'
import type { ObjectBody } from '../../../src/server/blobs/s3/s3-service.ts'
import { freshId, piecesOf, steady } from '../../support/blob-bytes.ts'
import { eventually } from '../../support/eventually.ts'
import { bytesFor } from '../../support/random.ts'

const PART = 256 * 1024
const bytes = bytesFor('memory', PART)
const shared = (memory: ByteBudget) => ({ memory, blocks: new BlockPool() })
const partOf = (sizeBytes: number | null) => ({ blobId: freshId(), index: 0, partBytes: PART, sizeBytes })

describe('the memory of all parts', () => {
  it('serves who waits in order, also a large one before small ones that would fit', async () => {
    const memory = new ByteBudget(() => 100)
    await memory.take(60, steady())
    const served: number[] = []
    const waits = [90, 10, 20].map(size => memory.take(size, steady()).then(() => served.push(size)))
    expect(memory.tryTake(1), 'no claim overtakes').toBe(false)
    memory.give(60)
    await Promise.all(waits.slice(0, 2))
    expect(served).toEqual([90, 10])
    memory.give(90)
    await Promise.all(waits)
    expect(memory.heldBytes).toBe(30)
  })

  it('lets who is behind go on when who waits gives up', async () => {
    const memory = new ByteBudget(() => 100)
    await memory.take(60, steady())
    const controller = new AbortController()
    const reason = new Error('gone')
    const first = memory.take(90, controller.signal)
    const second = memory.take(40, steady())
    controller.abort(reason)
    await expect(first).rejects.toBe(reason)
    await second
    expect(memory.heldBytes).toBe(100)
  })

  it('gives more than all of it only when all of it is free', async () => {
    const memory = new ByteBudget(() => 100)
    await memory.take(1, steady())
    let given = false
    const wait = memory.take(500, steady()).then(() => (given = true))
    await Promise.resolve()
    expect(given).toBe(false)
    memory.give(1)
    await wait
    memory.give(500)
    expect(memory.heldBytes).toBe(0)
  })
})

async function* piecesInTurn(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece)
}

describe('blocks for parts', () => {
  const BLOCK = 256 * 1024

  it('are reused, and freed when they stay idle', async () => {
    const pool = new BlockPool(5)
    const block = pool.take(BLOCK)
    pool.release(block)
    expect(pool.take(BLOCK)).toBe(block)
    pool.release(block)
    await eventually('the block is freed', () => block.length === 0)
    expect(pool.take(BLOCK)).toHaveLength(BLOCK)
  })
})

describe('a part in flight', () => {
  const read = (body: ObjectBody) =>
    tryOnce(5000, steady(), async current => {
      const opened = body.open(current)
      if (opened instanceof Uint8Array) return Buffer.from(opened)
      const taken: Buffer[] = []
      for await (const piece of opened) taken.push(piece as Buffer)
      return Buffer.concat(taken)
    })

  it('is gathered while there is memory, and may be sent again and again', async () => {
    const memory = new ByteBudget(() => 2 * PART)
    {
      await using incoming = new BufferedPart(shared(memory), partOf(PART), piecesOf(bytes, 10_000), steady())
      expect(await incoming.buffer()).toBe(true)
      expect(memory.heldBytes).toBeGreaterThanOrEqual(PART)
      const body = incoming.buffered()
      expect((await read(body)).equals(bytes)).toBe(true)
      expect((await read(body)).equals(bytes)).toBe(true)
    }
    expect(memory.heldBytes).toBe(0)
  })

  it('takes pieces over, and lends its memory to the next part only once it was sent', async () => {
    const part = { ...partOf(null), partBytes: 4 * PART }
    const both = { memory: new ByteBudget(() => 16 * PART), blocks: new BlockPool() }
    const gathered = async () => {
      const source = [Buffer.from(bytes), Buffer.from(bytes)]
      const pieces = source.map(piece => new Uint8Array(piece))
      const incoming = new BufferedPart(both, part, piecesInTurn(pieces), steady())
      expect(await incoming.buffer()).toBe(true)
      expect(pieces.map(piece => piece.length)).toEqual([0, 0])
      expect((await read(incoming.buffered())).equals(Buffer.concat(source))).toBe(true)
      return incoming
    }
    const first = await gathered()
    const second = await gathered()
    second.sent()
    await second[Symbol.asyncDispose]()
    const third = await gathered()
    expect((await read(first.buffered())).equals(Buffer.concat([bytes, bytes]))).toBe(true)
    for (const each of [first, third]) await each[Symbol.asyncDispose]()
    expect(both.memory.heldBytes).toBe(0)
  })

  it('is passed on when memory runs out, and holds less and less', async () => {
    const memory = new ByteBudget(() => PART / 2)
    {
      await using incoming = new BufferedPart(shared(memory), partOf(PART), piecesOf(bytes, 10_000), steady())
      expect(await incoming.buffer()).toBe(false)
      expect(memory.heldBytes).toBeLessThanOrEqual(PART / 2)
      expect((await read(incoming.streamed())).equals(bytes)).toBe(true)
      expect(memory.heldBytes).toBe(0)
    }
    expect(memory.heldBytes).toBe(0)
  })

  it('of many tiny pieces costs no more than its bytes', async () => {
    const memory = new ByteBudget(() => 4096)
    await using incoming = new BufferedPart(
      shared(memory),
      partOf(4096),
      piecesOf(bytes.subarray(0, 4096), 1),
      steady(),
    )
    expect(await incoming.buffer()).toBe(true)
    expect(memory.heldBytes).toBe(4096)
  })

  it('of unknown length waits for the memory of a complete part, then retains what it needs', async () => {
    const memory = new ByteBudget(() => PART)
    await memory.take(10, steady())
    let pulled = false
    const source = async function* () {
      pulled = true
      yield* piecesOf(bytes.subarray(0, 1000))
    }
    await using incoming = new BufferedPart(shared(memory), partOf(null), source(), steady())
    const gathered = incoming.buffer()
    await new Promise(resolve => setImmediate(resolve))
    expect(pulled).toBe(false)
    memory.give(10)
    expect(await gathered).toBe(true)
    expect(memory.heldBytes).toBeGreaterThanOrEqual(1000)
    expect(memory.heldBytes).toBeLessThanOrEqual(64 * 1024)
  })

  it.each([
    ['too long', bytes.length + 1],
    ['too short', bytes.length - 1],
  ])('that is passed on never arrives whole when it is %s', async (_, sentBytes) => {
    const memory = new ByteBudget(() => 1000)
    const sent = Buffer.concat([bytes, Buffer.alloc(1)]).subarray(0, sentBytes)
    await using incoming = new BufferedPart(shared(memory), partOf(PART), piecesOf(sent, 10_000), steady())
    expect(await incoming.buffer()).toBe(false)
    const arrived: number[] = []
    const reading = tryOnce(5000, steady(), async current => {
      const opened = incoming.streamed().open(current)
      for await (const piece of opened) arrived.push((piece as Buffer).length)
    })
    await expect(reading).rejects.toMatchObject({ code: 'size_mismatch' })
    expect(incoming.failure).toMatchObject({ error: { code: 'size_mismatch' } })
    expect(arrived.reduce((sum, length) => sum + length, 0)).toBeLessThan(PART)
  })
})
