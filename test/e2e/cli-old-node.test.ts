import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

import { expect, it } from 'vitest'

import { cliCommand } from '../support/cli-command.ts'

/** Makes this Node look like an older one. */
const older = (version: string): string => {
  const script = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })
    delete globalThis.AsyncDisposableStack`
  return `data:text/javascript,${encodeURIComponent(script)}`
}

it('says in one line which Node it needs, whatever else an older one lacks', () => {
  const [program, ...args] = cliCommand()
  const run = spawnSync(program, ['--import', older('20.19.2'), ...args, 'send', 'file'], { encoding: 'utf8' })
  expect(run.stderr).toBe(`sealift: Node 24 or newer is needed; this is Node 20.19.2 (${process.execPath}).\n`)
  expect(run.stdout).toBe('')
  expect(run.status).toBe(1)
})

it('needs what the package says', () => {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
  expect(engines.node).toMatch(/^>=\s*24\b/)
})
