/** What doctor says of the Valkey that limits are shared through. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { diagnose } from '../support/doctor.ts'
import { startValkey, type RunningValkey } from '../support/engines/valkey.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-valkey-doctor-'))
let valkey: RunningValkey

beforeAll(async () => {
  valkey = await startValkey({ password: 'a-password-of-tests' })
})

afterAll(async () => {
  await valkey[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

const limits = (url = valkey.facts.url) => ({ limits: { shared: 'valkey', valkey: { url } } })

it('tells of one that is set up right', async () => {
  const { ok, checks, said } = await diagnose(home, limits())
  expect(ok, said).toBe(true)
  expect(checks).toMatchObject({
    valkey: expect.stringMatching(/Valkey at 127\.0\.0\.1:\d+ responds/),
    'valkey clock': 'ok: agrees with this machine',
    'valkey version': expect.stringMatching(/^ok: (Redis|Valkey) \d+/),
    'valkey memory': expect.stringMatching(/^ok: without a limit/),
    'valkey disk': expect.stringMatching(/^ok: nothing is logged to disk/),
  })
  expect(said).not.toContain('a-password-of-tests')
})

it('warns when what it knows may be evicted', async () => {
  await valkey.command('CONFIG', 'SET', 'maxmemory', '100mb')
  await valkey.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  const { ok, checks } = await diagnose(home, limits())
  expect(ok).toBe(true)
  expect(checks['valkey memory']).toMatch(/^warn: maxmemory-policy allkeys-lru.*set maxmemory-policy noeviction/)
})

it('names the setting that is wrong', async () => {
  const { ok, checks, said } = await diagnose(home, limits(valkey.facts.url.replace('a-password', 'another-password')))
  expect(ok).toBe(false)
  expect(checks['valkey']).toMatch(/^fail: .*limits\.valkey\.url/)
  expect(said).not.toContain('another-password')
})
