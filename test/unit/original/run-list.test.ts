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

const forged: readonly (readonly [what: string, list: Uint8Array, bytes?: number, sourceBytes?: number])[] = [
  ['nothing', new Uint8Array(0)],
  ['version 0', listOf(0, ...EXAMPLE.slice(1))],
  ['another length than the manifest says', listOf(...EXAMPLE), 306],
  ['a copy that ends behind the item', listOf(...EXAMPLE), 307, 1299],
  ['a copy that begins before the item', listOf(1, 5, 0x0b, 1)],
  ['more than the file holds', listOf(1, 5, 0x0d, 0)],
  ['a literal longer than the file', listOf(1, 5, 0x0c, 1, 2, 3, 4, 5, 6)],
  ['an empty run', listOf(1, 5, 0, 0x0b, 0)],
  ['an empty copy', listOf(1, 5, 1, 0, 0x0b, 0)],
  ['an end in the middle of a literal', Uint8Array.of(1, 5, 10, 1, 2)],
  ['an end in the middle of a number', Uint8Array.of(1, 0x85)],
  ['no hash', Uint8Array.of(1, 0)],
  ['part of a hash', listOf(1, 5, 0x0b, 0).subarray(0, 30)],
  ['something behind the hash', concat([listOf(1, 5, 0x0b, 0), Uint8Array.of(0)])],
  ['a number longer than it need be', listOf(1, 0x85, 0, 0x0b, 0)],
  ['a number of nine bytes', listOf(1, 5, 0x8b, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1, 0)],
  ['a number beyond 2^53', listOf(1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)],
]

test.each(forged)('a list with %s is refused', (_, list, bytes = 5, sourceBytes = 1300) => {
  const length = list.byteLength > 40 && bytes === 5 && list[1] === 0xb3 ? 307 : bytes
  expect(() => read(list, length, sourceBytes)).toThrow(expect.objectContaining({ code: 'damaged_media' }))
})

test('a list of a later version is said to be one', () => {
  expect(() => read(listOf(2, 0), 0, 0)).toThrow(expect.objectContaining({ code: 'unsupported_version' }))
})
