import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { parseDuration, parseSize } from '../../../src/protocol/units.ts'
import { editDistance, suggest } from '../../../src/server/config/config-error.ts'
import { findVariable, VARIABLES } from '../../../src/server/config/environment.ts'
import { writeDuration, writeSize } from '../../../src/server/config/write-config.ts'

test('sizes and durations read back as what they were', () => {
  fc.assert(
    fc.property(fc.nat(999_999_999_999_999), fc.nat(50), (number, shift) => {
      const value = Math.min(number, 2 ** shift * (number % 1000))
      expect(parseSize(writeSize(value))).toBe(value)
      expect(parseDuration(writeDuration(value))).toBe(value)
    }),
  )
})

test('every variable has a name of its own that leads back to its path', () => {
  const names = VARIABLES.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  for (const variable of VARIABLES) {
    const found = findVariable(variable.name.replace('<NAME>', 'NIGHT_SHIFT'))
    expect(found?.variable).toBe(variable)
    expect(found?.path).toEqual(variable.path.map(key => (key === '*' ? 'night-shift' : key)))
  }
  expect(findVariable('SEALIFT_NOTHING')).toBeNull()
})

test('the edit distance is one', () => {
  const word = fc.string({ maxLength: 12 })
  fc.assert(
    fc.property(word, word, word, (a, b, c) => {
      expect(editDistance(a, a)).toBe(0)
      expect(editDistance(a, b)).toBe(editDistance(b, a))
      expect(editDistance(a, c)).toBeLessThanOrEqual(editDistance(a, b) + editDistance(b, c))
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length))
    }),
  )
})

test('suggests only what is near', () => {
  expect(suggest('prot', ['host', 'port'])).toBe('port')
  expect(suggest('idle_timeout', ['idleTimeout'])).toBe('idleTimeout')
  expect(suggest('colour', ['host', 'port'])).toBeNull()
})
