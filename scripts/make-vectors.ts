// `node scripts/make-vectors.ts`: writes test/vectors/*.json; with --check only says which are out of date.
// The vectors do not change with the code: a difference here is a change of the format.
import { readFileSync, writeFileSync } from 'node:fs'
import { layoutVectors, paddingVectors } from './vectors/arithmetic.ts'
import { forgedVectors } from './vectors/forged.ts'
import { sealedVectors } from './vectors/sealed.ts'

const files: Record<string, () => object[]> = {
  'sealed.json': sealedVectors,
  'forged.json': forgedVectors,
  'layout.json': layoutVectors,
  'padding.json': paddingVectors,
}

const onlyCheck = process.argv.includes('--check')
for (const [name, make] of Object.entries(files)) {
  const path = new URL(`../test/vectors/${name}`, import.meta.url)
  const vectors = make()
  const text = `[\n${vectors.map(vector => JSON.stringify(vector)).join(',\n')}\n]\n`
  if (!onlyCheck) writeFileSync(path, text)
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`${name} is not what scripts/make-vectors.ts makes`)
    process.exitCode = 1
  }
  console.log(`${name}: ${vectors.length} vectors, ${text.length} bytes`)
}
