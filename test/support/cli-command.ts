/** How the product's command is started: as its first line says, from the sources, or (long tests) as it is shipped. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const compiled = process.env['SEALIFT_TEST_LONG'] === 'true'
const main = fileURLToPath(new URL(compiled ? '../../dist/cli/main.js' : '../../src/cli/main.ts', import.meta.url))

/** Program and first arguments; those of the command come behind. */
export function cliCommand(): [program: string, ...args: string[]] {
  const [firstLine = ''] = readFileSync(main, 'utf8').split('\n', 1)
  const flags = firstLine.split(' node')[1]?.trim().split(' ') ?? []
  return [process.execPath, ...flags.filter(flag => flag !== ''), main]
}
