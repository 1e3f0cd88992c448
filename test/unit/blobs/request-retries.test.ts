import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { Deadline } from '../../../src/server/blobs/s3/request-retries.ts'

const TIMEOUT_MS = 1000

describe('a deadline', () => {
  let expired: boolean
  let deadline: Deadline

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    expired = false
    deadline = new Deadline(TIMEOUT_MS, () => (expired = true))
  })
  afterEach(() => {
    deadline.pause()
    vi.useRealTimers()
  })

  it('expires when nothing happens, and not before', () => {
    vi.advanceTimersByTime(TIMEOUT_MS - 1)
    expect(expired).toBe(false)
    vi.advanceTimersByTime(2)
    expect(expired).toBe(true)
  })

  it('does not expire while it is paused, and continues with the time left', () => {
    vi.advanceTimersByTime(600)
    deadline.pause()
    vi.advanceTimersByTime(10 * TIMEOUT_MS)
    deadline.progressed(0)
    vi.advanceTimersByTime(399)
    expect(expired).toBe(false)
    vi.advanceTimersByTime(2)
    expect(expired).toBe(true)
  })

  it('stays away while enough bytes move', () => {
    for (let step = 0; step < 50; step += 1) {
      vi.advanceTimersByTime(900)
      deadline.progressed(64 * 1024)
    }
    expect(expired).toBe(false)
    vi.advanceTimersByTime(TIMEOUT_MS + 1)
    expect(expired).toBe(true)
  })

  it('comes when bytes only trickle', () => {
    for (let step = 0; step < 11; step += 1) {
      vi.advanceTimersByTime(100)
      deadline.progressed(100)
    }
    expect(expired).toBe(true)
  })
})
