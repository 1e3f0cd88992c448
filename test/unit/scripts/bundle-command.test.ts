import { globSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { ENTRIES } from '../../../scripts/bundle-command.ts'

const SOURCES = fileURLToPath(new URL('../../../src', import.meta.url))

test('every thread that is started by its path is a file of its own in the bundled command', () => {
  const threads = globSync('**/*.ts', { cwd: SOURCES }).flatMap(file =>
    Array.from(
      readFileSync(join(SOURCES, file), 'utf8').matchAll(/new URL\(`\.\/([\w-]+)\.\$\{extension\}`/g),
      ([, name]) => posix.join(dirname(file), `${name}.ts`),
    ),
  )
  expect(threads.length).toBeGreaterThan(3)
  expect(ENTRIES.filter(entry => entry !== 'cli/main.ts').toSorted()).toEqual(threads.toSorted())
})
