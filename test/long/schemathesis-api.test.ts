import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { ROUTES } from '../../src/protocol/routes.ts'
import { KINDS } from '../../src/protocol/schemas.ts'
import { schemathesisPath } from '../support/requirements.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const SUPPORT = join(import.meta.dirname, '../support')
/** Read from the folder that it runs in, which it also writes to. */
const FILES = ['schemathesis.toml', 'schemathesis_hooks.py']
const EXAMPLES = process.env['SEALIFT_TEST_FUZZ_EXAMPLES'] ?? '100'
/** For sequences along the links: most operations need what several others made. */
const STATEFUL_SECONDS = process.env['SEALIFT_TEST_FUZZ_SECONDS'] ?? '120'

/** No request is refused for its rate, and no size or time to live that the document allows is above the tier's. */
const TIER = {
  requestsPerSecond: 0,
  concurrentUploads: 512,
  concurrentDownloads: 512,
  pendingUploads: 1_000_000,
  pendingBytes: '100TiB',
  storedBytes: '100TiB',
  maxBytes: Object.fromEntries(KINDS.map(kind => [kind, '100TiB'])),
  maxTtl: '3660d',
}

describe('the API and its OpenAPI document', () => {
  const token = randomBytes(32).toString('base64url')
  let directory: string
  let server: ServerProcess

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sealift-fuzz-'))
    const sha256 = createHash('sha256').update(token).digest('hex')
    server = await startServerProcess({
      directory,
      config: {
        access: { openMode: 'off', tokens: [{ subject: 'fuzzer', tier: 'fuzzed', sha256 }] },
        transfer: { parcelWaitMax: '1s' },
        tiers: { default: { requestsPerSecond: 0 }, fuzzed: TIER },
      },
    })
  })

  afterEach(async () => {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  it.each([
    ['in all phases', []],
    ['along the links, for a limited time', ['--phases', 'stateful', '--max-time', STATEFUL_SECONDS]],
  ])('agree by all checks, %s', async (_, options) => {
    const { code, report } = await fuzz(server.url, options)
    // What it ran and found, also when all is well.
    console.log(
      report
        .split('\n')
        .filter(it => /generated|Operations|API Links|Scenarios|Seed/.test(it))
        .join('\n'),
    )
    expect(code, report).toBe(0)
    // All but the route that gave it the document.
    expect(report).toMatch(new RegExp(`Operations: +${Object.keys(ROUTES).length - 1} selected`))
    expect(server.log()).not.toMatch(/"level":(50|60)/)
  })

  async function fuzz(url: string, options: readonly string[]): Promise<{ code: number | null; report: string }> {
    for (const file of FILES) copyFileSync(join(SUPPORT, file), join(directory, file))
    const args = ['run', `${url}/openapi.json`, '--checks', 'all', '--no-color']
    args.push('-n', EXAMPLES, '-H', `Authorization: Bearer ${token}`, ...options)
    const child = spawn(schemathesisPath() ?? 'schemathesis', args, { cwd: directory })
    let report = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (report += text))
    }
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, report }
  }
})
