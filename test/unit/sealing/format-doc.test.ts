import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { paddedLength, sealedLength, sealedRangeFor } from '../../../src/sealing/index.ts'
import { fromBase64, toHex } from '../../support/sealing.ts'
import vectors from '../../vectors/sealed.json' with { type: 'json' }

const page = readFileSync('docs/format.md', 'utf8')

/** The hex of a line of the worked example, without blanks. */
function shown(name: string): string {
  const line = new RegExp(`^${name} +((?:[0-9a-f]{2,} ?)+)`, 'm').exec(page)?.[1] ?? ''
  return line.replaceAll(' ', '')
}

test('the worked example of docs/format.md is its vector', () => {
  const vector = vectors.find(each => each.name === 'media, 1 bytes in chunks of 1024')
  expect({
    key: shown('key'),
    salt: shown('salt'),
    noncePrefix: shown('prefix'),
    header: shown('header'),
    derivedKey: shown('chunkKey'),
    commit: shown('commit'),
    lastNonce: shown('nonce'),
    sealedSha256: shown('sha256'),
    sealed: shown('header') + shown('chunk 0'),
  }).toMatchObject({
    key: vector?.key,
    salt: vector?.salt,
    noncePrefix: vector?.noncePrefix,
    header: vector?.header,
    derivedKey: vector?.derivedKey,
    commit: vector?.commit,
    lastNonce: vector?.lastNonce,
    sealedSha256: vector?.sealedSha256,
    sealed: toHex(fromBase64(vector?.sealed ?? '')),
  })
})

test('the numbers told in docs/format.md are right', () => {
  expect(sealedLength(1977, 1024)).toBe(2065)
  expect(sealedRangeFor({ start: 1000, end: 1100 }, 2065, 1024)).toMatchObject({ start: 1024, end: 2048 })
  const sizes = [541]
  while (paddedLength((sizes.at(-1) ?? 0) + 1) <= 2 ** 40) sizes.push(paddedLength((sizes.at(-1) ?? 0) + 1))
  expect(page).toContain(`The sizes are ${sizes.slice(0, 9).join(', ')}, …: ${sizes.length} of them`)
})
