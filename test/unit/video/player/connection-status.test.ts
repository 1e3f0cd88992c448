import { afterEach, beforeEach, expect, test } from 'vitest'

import { SealiftError } from '../../../../src/protocol/errors.ts'
import { ConnectionStatus } from '../../../../src/video/player/connection-status.ts'

// Node has no `online` event; the global event target stands for the window.
const events = new EventTarget()
const changes: boolean[] = []
let connection: ConnectionStatus

beforeEach(() => {
  changes.length = 0
  connection = new ConnectionStatus(isOffline => changes.push(isOffline), events)
})

afterEach(() => connection.close())

const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(new SealiftError('aborted', 'stopped'))))

test('a read that fails for good is not begun again', async () => {
  let reads = 0
  const read = connection.run(new AbortController().signal, () => {
    reads += 1
    return Promise.reject(new SealiftError('damaged_media', 'altered'))
  })
  await expect(read).rejects.toMatchObject({ code: 'damaged_media' })
  expect(reads).toBe(1)
  expect(changes).toEqual([])
})

test('a read whose client has stopped retrying waits until the network is back', async () => {
  let reads = 0
  const read = connection.run(new AbortController().signal, () => {
    reads += 1
    return reads === 1 ? Promise.reject(new SealiftError('network', 'broken')) : Promise.resolve('done')
  })
  await Promise.resolve()
  await new Promise(resolve => setImmediate(resolve))
  expect(changes).toEqual([true])
  events.dispatchEvent(new Event('online'))
  expect(await read).toBe('done')
  expect(changes).toEqual([true, false])
})

test('a read that pauses before a repeat is begun anew when the network is back', async () => {
  let reads = 0
  const read = connection.run(new AbortController().signal, ({ signal, onRetry }) => {
    reads += 1
    if (reads > 1) return Promise.resolve('done')
    onRetry({ error: new Error('broken'), waitMs: 10_000, failingMs: 0 })
    return forever(signal)
  })
  expect(changes).toEqual([true])
  events.dispatchEvent(new Event('online'))
  expect(await read).toBe('done')
})

test('a read that goes well is left alone when the network is back', async () => {
  const stop = new AbortController()
  let reads = 0
  const read = connection.run(stop.signal, ({ signal }) => {
    reads += 1
    return forever(signal)
  })
  events.dispatchEvent(new Event('online'))
  stop.abort()
  await expect(read).rejects.toMatchObject({ code: 'aborted' })
  expect(reads).toBe(1)
})

test('a single lost connection does not count as offline', async () => {
  await connection.run(new AbortController().signal, ({ onRetry, onFetched }) => {
    onRetry({ error: new Error('broken'), waitMs: 100, failingMs: 0 })
    onFetched(1)
    return Promise.resolve()
  })
  expect(changes).toEqual([])
})

test('a browser without a network is offline until bytes come', async () => {
  events.dispatchEvent(new Event('offline'))
  expect(connection.isOffline).toBe(true)
  await connection.run(new AbortController().signal, () => Promise.resolve())
  expect(changes).toEqual([true, false])
})
