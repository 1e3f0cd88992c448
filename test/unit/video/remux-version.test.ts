import { readFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { REMUX_WAY } from '../../../src/video/index.ts'

test('the way of copying names the library that is installed: another one may make other bytes', async () => {
  const installed = new URL('../../../node_modules/mediabunny/package.json', import.meta.url)
  const { version } = JSON.parse(await readFile(installed, 'utf8')) as { version: string }
  expect(REMUX_WAY.endsWith(`-${version}`)).toBe(true)
  expect(REMUX_WAY).toMatch(/^[a-z0-9.-]{1,64}$/)
})
