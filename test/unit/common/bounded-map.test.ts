import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { BoundedMap } from '../../../src/common/bounded-map.ts'

describe('BoundedMap', () => {
  it('drops the entry that was set first', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c')]).toEqual([undefined, 2, 3])
  })

  it('takes a key that is set again for the newest', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    map.set('c', 4)
    expect([map.get('a'), map.has('b'), map.get('c')]).toEqual([3, false, 4])
  })

  it('drops the least recently touched entry', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.touch('a')).toBe(1)
    expect(map.touch('missing')).toBeUndefined()
    map.set('c', 3)
    expect([map.has('a'), map.has('b'), map.has('c')]).toEqual([true, false, true])
  })

  it('computes a value once while it is there', () => {
    const map = new BoundedMap<string, string>(1)
    const computed: string[] = []
    const compute = (key: string) => {
      computed.push(key)
      return key.toUpperCase()
    }
    expect(['a', 'a', 'b', 'a'].map(key => map.getOrSet(key, compute))).toEqual(['A', 'A', 'B', 'A'])
    expect(computed).toEqual(['a', 'b', 'a'])
  })

  it('never holds more than its capacity, and always the key set last', () => {
    const step = fc.record({ set: fc.boolean(), key: fc.integer({ min: 0, max: 9 }) })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step), (capacity, steps) => {
        const map = new BoundedMap<number, number>(capacity)
        for (const [at, { set, key }] of steps.entries()) {
          if (set) map.set(key, at)
          else map.delete(key)
          expect(map.size).toBeLessThanOrEqual(capacity)
          expect(map.get(key)).toBe(set ? at : undefined)
        }
        map.clear()
        expect(map.size).toBe(0)
      }),
    )
  })
})
