import { expect, test } from 'vitest'

import { RunListReader } from '../../../src/client/original/run-list-reader.ts'
import { RunListWriter } from '../../../src/client/original/run-list-writer.ts'
import { concat } from '../../support/concat.ts'

const SHA256 = new Uint8Array(32).fill(7)

function read(list: Uint8Array, bytes: number, sourceBytes: number): unknown[] {
  const runs: unknown[] = []
  const reader = new RunListReader({ bytes, sourceBytes, onRun: run => runs.push(run) })
  reader.push(list)
  reader.end()
  return runs
}

const listOf = (...bytes: number[]): Uint8Array => concat([Uint8Array.from(bytes), SHA256])

/** The example of `docs/format.md`: two literal bytes, 300 from 1000 on, 5 from 0 on. */
const EXAMPLE = [1, 0xb3, 2, 4, 0x61, 0x62, 0xd9, 4, 0xd0, 0x0f, 0x0b, 0xa7, 0x14]

test('a list is written and read as the format says', () => {
  const pieces: Uint8Array[] = []
  const writer = new RunListWriter(307, piece => pieces.push(piece))
  writer.literal(2)
  writer.bytes(Uint8Array.of(0x61, 0x62))
  writer.copy(1000, 200)
  writer.copy(1200, 100)
  writer.copy(0, 5)
  writer.finish(SHA256)
  expect(concat(pieces)).toEqual(listOf(...EXAMPLE))
  expect(read(listOf(...EXAMPLE), 307, 1300)).toEqual([
    { copy: false, length: 2, from: 4 },
    { copy: true, length: 300, from: 1000 },
    { copy: true, length: 5, from: 0 },
  ])
})

test('an empty file is a list of no runs', () => {
  expect(read(listOf(1, 0), 0, 0)).toEqual([])
})

interface Forged {
  readonly what: string
  readonly list: Uint8Array
  readonly bytes?: number
  readonly sourceBytes?: number
}

const forged: readonly Forged[] = [
  { what: 'nothing', list: new Uint8Array(0) },
  { what: 'version 0', list: listOf(0, ...EXAMPLE.slice(1)), bytes: 307 },
  { what: 'another length than the manifest says', list: listOf(...EXAMPLE), bytes: 306 },
  { what: 'a copy that ends behind the item', list: listOf(...EXAMPLE), bytes: 307, sourceBytes: 1299 },
  { what: 'a copy that begins before the item', list: listOf(1, 5, 0x0b, 1) },
  { what: 'more than the file holds', list: listOf(1, 5, 0x0d, 0) },
  { what: 'a literal longer than the file', list: listOf(1, 5, 0x0c, 1, 2, 3, 4, 5, 6) },
  { what: 'an empty run', list: listOf(1, 5, 0, 0x0b, 0) },
  { what: 'an empty copy', list: listOf(1, 5, 1, 0, 0x0b, 0) },
  { what: 'an end in the middle of a literal', list: Uint8Array.of(1, 5, 10, 1, 2) },
  { what: 'an end in the middle of a number', list: Uint8Array.of(1, 0x85) },
  { what: 'no hash', list: Uint8Array.of(1, 0), bytes: 0 },
  { what: 'part of a hash', list: listOf(1, 5, 0x0b, 0).subarray(0, 30) },
  { what: 'something behind the hash', list: concat([listOf(1, 5, 0x0b, 0), Uint8Array.of(0)]) },
  { what: 'a number longer than it need be', list: listOf(1, 0x85, 0, 0x0b, 0) },
  { what: 'a number of nine bytes', list: listOf(1, 5, 0x8b, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0) },
  { what: 'a number beyond 2^53', list: listOf(1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f) },
]

test('copies of more than 8 times what they are copied from are refused, so that megabytes stay megabytes', () => {
  const list = (copies: number): Uint8Array =>
    listOf(1, copies * 10, ...Array.from({ length: copies }, (_, copy) => [0x15, copy === 0 ? 0 : 0x13]).flat())
  expect(read(list(8), 80, 10)).toHaveLength(8)
  expect(() => read(list(9), 90, 10)).toThrow(expect.objectContaining({ code: 'damaged_media' }))
})

test.each(forged)('a list with $what is refused', ({ list, bytes = 5, sourceBytes = 1300 }) => {
  expect(() => read(list, bytes, sourceBytes)).toThrow(expect.objectContaining({ code: 'damaged_media' }))
})

test('a list of a later version is said to be one', () => {
  expect(() => read(listOf(2, 0), 0, 0)).toThrow(expect.objectContaining({ code: 'unsupported_version' }))
})
