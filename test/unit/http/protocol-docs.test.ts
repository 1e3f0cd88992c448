import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { generatedFiles } from '../../../scripts/make-protocol-docs.ts'

test('docs/protocol.md is current', async () => {
  for (const { path, content } of await generatedFiles()) {
    expect(await readFile(path, 'utf8'), `${path}: run npm run docs`).toBe(content)
  }
})
