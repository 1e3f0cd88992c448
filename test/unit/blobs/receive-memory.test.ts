import { describe, expect, it } from 'vitest'

import { ReceiveMemory } from '../../../src/server/blobs/s3/receive-memory.ts'

const LARGE = 256 * 1024
const SMALL = 32 * 1024
const owner = {}

describe('the memory that bytes from the service arrive in', () => {
  it('is lent in large buffers within its budget, and in small ones beyond', () => {
    const memory = new ReceiveMemory(2 * LARGE)
    const sizes = [1, 2, 3].map(() => memory.take(owner).length)
    expect(sizes).toEqual([LARGE, LARGE, SMALL])
  })

  it('is reused once any piece of it is released, and only once', () => {
    const memory = new ReceiveMemory(2 * LARGE)
    const first = memory.take(owner)
    memory.release(first.subarray(100, 200))
    memory.release(first)
    expect(memory.take(owner)).toBe(first)
    expect(memory.take(owner)).not.toBe(first)
  })

  it('frees what is small, and what never was of it', () => {
    const memory = new ReceiveMemory(0)
    const small = memory.take(owner)
    const strange = Buffer.allocUnsafeSlow(10)
    memory.release(small.subarray(1))
    memory.release(strange)
    expect([small.byteLength, strange.byteLength]).toEqual([0, 0])
  })

  it('leaves views of shared memory alone', () => {
    const strange = Buffer.alloc(100)
    new ReceiveMemory(0).release(strange.subarray(10, 20))
    expect(strange.length).toBe(100)
  })

  it('never lends again what is discarded, and makes another instead', () => {
    const memory = new ReceiveMemory(LARGE)
    const lost = memory.take(owner)
    memory.discard(lost.subarray(0, 10))
    const next = memory.take(owner)
    expect(next.length).toBe(LARGE)
    expect(next).not.toBe(lost)
    expect(lost.length).toBe(LARGE)
  })

  it('forgets what an owner never released, and nothing else', () => {
    const memory = new ReceiveMemory(2 * LARGE)
    const other = memory.take({})
    memory.take(owner)
    memory.forget(owner)
    expect(memory.take(owner).length).toBe(LARGE)
    expect(memory.take(owner).length).toBe(SMALL)
    memory.release(other)
    expect(memory.take(owner)).toBe(other)
  })
})
