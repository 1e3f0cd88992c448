import { describe, expect, it } from 'vitest'

import { abortableSource, raceAbort, raceTimeout } from '../../../src/common/abort-race.ts'

const never = new Promise<never>(() => undefined)

describe('raceAbort', () => {
  it('gives what the work gives, and what it throws', async () => {
    const { signal } = new AbortController()
    await expect(raceAbort(Promise.resolve(7), signal)).resolves.toBe(7)
    await expect(raceAbort(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken')
  })

  it('rejects with the reason of an abort, during the work or before it', async () => {
    const controller = new AbortController()
    const racing = raceAbort(never, controller.signal)
    controller.abort(new Error('stop'))
    await expect(racing).rejects.toThrow('stop')
    await expect(raceAbort(never, controller.signal)).rejects.toThrow('stop')
    // Whatever the work does afterwards is handled: an unhandled rejection would fail this file.
    await expect(raceAbort(Promise.reject(new Error('late')), controller.signal)).rejects.toThrow('stop')
  })

  it('throws the reason as the caller wants it', async () => {
    const mapped = raceAbort(never, AbortSignal.abort('why'), ({ reason }) => new Error(`because of ${reason}`))
    await expect(mapped).rejects.toThrow('because of why')
  })
})

describe('raceTimeout', () => {
  it('gives what comes in time, and throws what the caller says for what does not', async () => {
    await expect(raceTimeout(Promise.resolve(7), 60_000, () => new Error('late'))).resolves.toBe(7)
    await expect(raceTimeout(never, 1, () => new Error('late'))).rejects.toThrow('late')
  })
})

describe('abortableSource', () => {
  const forever = (ended: () => void): AsyncIterable<number> => ({
    [Symbol.asyncIterator]: () => ({
      next: () => never,
      return: () => {
        ended()
        return never
      },
    }),
  })

  it('passes everything on', async () => {
    async function* source() {
      yield 1
      yield 2
    }
    const got: number[] = []
    for await (const each of abortableSource(source(), new AbortController().signal)) got.push(each)
    expect(got).toEqual([1, 2])
  })

  it('rejects a pull that waits for bytes which never come, and leaves the source', async () => {
    const controller = new AbortController()
    let isEnded = false
    const source = abortableSource(
      forever(() => (isEnded = true)),
      controller.signal,
    )
    const reading = (async () => {
      for await (const _ of source) throw new Error('nothing can come')
    })()
    controller.abort(new Error('stop'))
    await expect(reading).rejects.toThrow('stop')
    const iterator = source[Symbol.asyncIterator]()
    await expect(iterator.next()).rejects.toThrow('stop')
    await expect(iterator.return?.()).resolves.toEqual({ done: true, value: undefined })
    expect(isEnded).toBe(true)
  })

  it('passes on what the source throws', async () => {
    const broken: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error('broken')) }),
    }
    const iterator = abortableSource(broken, new AbortController().signal)[Symbol.asyncIterator]()
    await expect(iterator.next()).rejects.toThrow('broken')
  })
})
