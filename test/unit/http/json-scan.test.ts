import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { JsonScan, type JsonBounds } from '../../../src/server/http/json-body.ts'

/** By the parsed value: how deep it is, and how many elements and keys it has. */
function measure(value: unknown): JsonBounds {
  if (typeof value !== 'object' || value === null) return { depth: 0, members: 0 }
  const inner = Object.values(value).map(measure)
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    members: inner.length + inner.reduce((sum, { members }) => sum + members, 0),
  }
}

function scan(text: string, bounds: JsonBounds, pieceBytes = Infinity): boolean {
  const bytes = Buffer.from(text)
  const it = new JsonScan(bounds)
  let accepted = true
  for (let at = 0; at < bytes.length; at += pieceBytes) accepted = it.accept(bytes.subarray(at, at + pieceBytes))
  return accepted
}

const value = fc.jsonValue({ maxDepth: 5, depthSize: 'large', noUnicodeString: false })
const spaces = fc.constantFrom(undefined, 1, '\t', ' \r\n')

describe('the scan of a JSON text', () => {
  it('accepts it exactly when its value is within bounds, however it is spaced and cut', () => {
    fc.assert(
      fc.property(value, spaces, fc.integer({ min: 1, max: 40 }), (json, space, pieceBytes) => {
        const text = JSON.stringify(json, null, space)
        const { depth, members } = measure(JSON.parse(text))
        expect(scan(text, { depth, members }, pieceBytes)).toBe(true)
        // Bounds of -1 for what has none refuse it as well: nothing is within them.
        expect(scan(text, { depth: depth - 1, members }, pieceBytes)).toBe(false)
        expect(scan(text, { depth, members: members - 1 }, pieceBytes)).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it('is not misled by what stands in strings', () => {
    const bounds = { depth: 1, members: 1 }
    for (const text of ['{"a":"[[{{,,"}', String.raw`{"a":"\"[[{{,,"}`, String.raw`["\\"]`, '{"[{,":1}']) {
      expect(scan(text, bounds), text).toBe(true)
      expect(scan(text, bounds, 1), text).toBe(true)
    }
    expect(scan(String.raw`["\\",[]]`, bounds)).toBe(false)
  })

  it('bounds what is no JSON as well, and stays with its refusal', () => {
    const bounds = { depth: 8, members: 256 }
    const junk = ['['.repeat(9), ',,'.repeat(200), '{},'.repeat(300), '"x",'.repeat(300)]
    for (const text of junk) {
      expect(scan(text, bounds), text.slice(0, 8)).toBe(false)
      expect(scan(`${text}${']'.repeat(500)}`, bounds, 7), text.slice(0, 8)).toBe(false)
    }
  })
})
