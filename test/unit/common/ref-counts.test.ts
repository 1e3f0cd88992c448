import { describe, expect, it } from 'vitest'

import { RefCounts } from '../../../src/common/ref-counts.ts'

describe('RefCounts', () => {
  it('makes a value for the first user and reports the last release', () => {
    const counts = new RefCounts<string, object>()
    const first = counts.acquire('a', () => ({}))
    const second = counts.acquire('a', () => ({}))
    expect(second.value).toBe(first.value)
    expect(counts.get('a')).toBe(first.value)
    expect(first.release()).toBe(false)
    expect(counts.size).toBe(1)
    expect(second.release()).toBe(true)
    expect(counts.size).toBe(0)
  })

  it('counts a user once, however often it releases', () => {
    const counts = new RefCounts<string, object>()
    const first = counts.acquire('a', () => ({}))
    const second = counts.acquire('a', () => ({}))
    first.release()
    expect(first.release()).toBe(false)
    expect(counts.get('a')).toBe(second.value)
    expect(second.release()).toBe(true)
    expect(second.release()).toBe(false)
  })

  it('replaces a value that is not usable, without taking it from its users', () => {
    const counts = new RefCounts<string, { stopped: boolean }>()
    const make = () => ({ stopped: false })
    const isUsable = ({ stopped }: { stopped: boolean }) => !stopped
    const old = counts.acquire('a', make, isUsable)
    old.value.stopped = true
    const fresh = counts.acquire('a', make, isUsable)
    expect(fresh.value).not.toBe(old.value)
    expect(old.release()).toBe(true)
    expect(counts.get('a')).toBe(fresh.value)
    expect(fresh.release()).toBe(true)
    expect([...counts.keys()]).toEqual([])
  })

  it('makes a new value after the old one is retired', () => {
    const counts = new RefCounts<string, object>()
    const old = counts.acquire('a', () => ({}))
    counts.retire('a', {})
    expect(counts.get('a')).toBe(old.value)
    counts.retire('a', old.value)
    const fresh = counts.acquire('a', () => ({}))
    expect(fresh.value).not.toBe(old.value)
    expect(old.release()).toBe(true)
    expect(counts.get('a')).toBe(fresh.value)
  })
})
