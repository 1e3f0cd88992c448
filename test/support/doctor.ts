/** `sealift doctor` on a server's configuration. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect } from 'vitest'

import { runCli } from './running-cli.ts'

export interface Diagnosis {
  readonly ok: boolean
  /** `status: what was found`, by the name of the check. */
  readonly checks: Readonly<Record<string, string>>
  /** All that was written, on either stream. */
  readonly said: string
}

let count = 0

/** What doctor finds in this configuration; each finding is one line. */
export async function diagnose(
  directory: string,
  config: object,
  { fix = false }: { readonly fix?: boolean } = {},
): Promise<Diagnosis> {
  count += 1
  const file = join(directory, `doctor-${count}.yaml`)
  const base = { listen: { port: 0 }, admin: { enabled: false }, dataDirectory: join(directory, 'data') }
  writeFileSync(file, JSON.stringify({ ...base, ...config }))
  const { code, stdout, stderr } = await runCli(['doctor', '--config', file, '--json', ...(fix ? ['--fix'] : [])])
  const said = stdout.toString() + stderr
  const found = JSON.parse(stdout.toString()) as {
    ok: boolean
    checks: { name: string; status: string; detail: string }[]
  }
  expect(code, said).toBe(found.ok ? 0 : 1)
  for (const { detail } of found.checks) expect(detail).toMatch(/^[^\n]{2,300}$/)
  const checks = Object.fromEntries(found.checks.map(({ name, status, detail }) => [name, `${status}: ${detail}`]))
  return { ok: found.ok, checks, said }
}
