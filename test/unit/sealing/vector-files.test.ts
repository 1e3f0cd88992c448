import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { layoutVectors, paddingVectors } from '../../../scripts/vectors/arithmetic.ts'
import { forgedVectors } from '../../../scripts/vectors/forged.ts'
import { sealedVectors } from '../../../scripts/vectors/sealed.ts'

test.each([
  ['sealed.json', sealedVectors],
  ['forged.json', forgedVectors],
  ['layout.json', layoutVectors],
  ['padding.json', paddingVectors],
])('%s is what scripts/make-vectors.ts makes, with no name twice', (file, make) => {
  const written = JSON.parse(readFileSync(`test/vectors/${file}`, 'utf8')) as { name?: string }[]
  expect(JSON.stringify(written)).toBe(JSON.stringify(make()))
  const names = written.flatMap(vector => vector.name ?? [])
  expect(new Set(names).size).toBe(names.length)
})
