import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { generatedFiles, manifestSections, renderManifestPage } from '../../../scripts/make-manifest-docs.ts'
import { parseManifest } from '../../../src/client/manifest/manifest-codec.ts'

test('docs/manifest.md is current', async () => {
  for (const { path, content } of await generatedFiles()) {
    expect(await readFile(path, 'utf8'), `${path}: run npm run docs`).toBe(content)
  }
})

test('it says of every field what it means, and what it may hold', async () => {
  for (const [section, { properties = {} }] of Object.entries(manifestSections())) {
    expect(Object.keys(properties), section).not.toHaveLength(0)
    for (const [field, { description }] of Object.entries(properties))
      expect(description, `${section}: ${field}`).toBeTruthy()
  }
  expect(await renderManifestPage()).not.toMatch(/undefined|\bany\b \|/)
})

test('its example is a manifest', async () => {
  const [, example = ''] = /```json\n([\s\S]*?)```/.exec(await renderManifestPage()) ?? []
  expect(parseManifest(JSON.parse(example)).items).toMatchObject([{ name: 'holiday/boat.jpg', state: 'complete' }])
})
