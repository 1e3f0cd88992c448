import { build } from 'esbuild'
import { expect, test } from 'vitest'

test('the core runs where there is no Node: nothing it imports begins with node:', async () => {
  const { metafile } = await build({
    entryPoints: ['src/sealing/index.ts'],
    bundle: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    external: ['node:*'],
  })
  const imports = Object.values(metafile.inputs).flatMap(input => input.imports.map(each => each.path))
  expect(imports.filter(path => path.startsWith('node:'))).toEqual([])
  expect(Object.keys(metafile.inputs).filter(path => path.includes('node-suite'))).toEqual([])
})
