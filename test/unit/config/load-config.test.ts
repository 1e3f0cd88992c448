import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { ConfigError } from '../../../src/server/config/config-error.ts'
import { configFileOf } from '../../../src/server/config/environment.ts'
import { loadConfig, type ConfigSources } from '../../../src/server/config/load-config.ts'
import { configWarnings } from '../../../src/server/config/cross-checks.ts'
import { printConfig } from '../../../src/server/config/write-config.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-config-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function write(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

const load = (sources: Partial<ConfigSources>) => loadConfig({ environment: {}, ...sources })

async function problemsOf(sources: Partial<ConfigSources>): Promise<string[]> {
  try {
    await load(sources)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(({ key, origin, message }) => `${key} @ ${origin?.replace(folder, '')}: ${message}`)
  }
}

describe('sources', () => {
  test('defaults, file, environment and command line, the later ones winning', async () => {
    const file = await write(
      's.yaml',
      'listen: {port: 1, maxConnections: 2}\ntransfer:\n  stopGrace: 1s\n  idleTimeout: 1s\n',
    )
    const config = await load({
      file,
      environment: { SEALIFT_LISTEN_PORT: '3', SEALIFT_TRANSFER_IDLE_TIMEOUT: '2m' },
      overrides: { listen: { port: 4 } },
    })
    expect(config.listen).toMatchObject({ port: 4, maxConnections: 2, maxConnectionsPerAddress: 512 })
    expect(config.transfer).toMatchObject({ stopGraceMs: 1000, idleTimeoutMs: 120_000 })
  })

  test('variables of every type', async () => {
    const config = await load({
      environment: {
        SEALIFT_LISTEN_TRUSTED_PROXIES: '10.0.0.0/8, loopback',
        SEALIFT_ADMIN_ENABLED: 'false',
        SEALIFT_STORAGE_DIRECTORY: '12345',
        SEALIFT_CORS_ORIGINS: '["https://a.example"]',
        SEALIFT_TIERS_DEFAULT_MAX_BYTES_IMAGE: '1MiB',
        SEALIFT_TIERS_NIGHT_SHIFT_QUEUE_WAIT: '5s',
        SEALIFT_ACCESS_JWT: '{secret: wrong, algorithms: [HS256]}',
        SEALIFT_ACCESS_JWT_SECRET: 'vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef',
        SEALIFT_ACCESS_OPEN_MODE: 'off',
        SEALIFT_ACCESS_DOWNLOADS: '',
        SEALIFT_SERVER: 'http://127.0.0.1:7325',
        SEALIFT_SERVICE_HOST: '10.0.0.1',
        SEALIFT_PORT: 'tcp://10.0.0.1:7325',
        SEALIFT_PORT_7325_TCP_ADDR: '10.0.0.1',
        SEALIFT_SEED: '7',
        SEALIFT_TEST_LONG: '1',
        HOME: '/root',
      },
    })
    expect(config.listen.trustedProxies).toEqual(['10.0.0.0/8', 'loopback'])
    expect(config.admin.enabled).toBe(false)
    expect(config.storage.directory).toBe('12345')
    expect(config.cors.origins).toEqual(['https://a.example'])
    expect(config.tiers['night-shift']).toMatchObject({ queueWaitMs: 5000, maxBytes: { image: 2 ** 20 } })
    expect(config.access.jwt?.secret).toBe('vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef')
    expect(config.access.openMode).toBe('off')
    expect(config.access.downloads).toBe('capability')
  })

  test('values in files of their own', async () => {
    const secretFile = await write('secret', 'vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef\n')
    const tokensFile = await write('tokens', `- {subject: a, sha256: ${'0123456789abcdef'.repeat(4)}}\n`)
    const file = await write('s.yaml', `access: {tokensFile: ${tokensFile}, jwt: {algorithms: [HS256]}}\n`)
    const config = await load({ file, environment: { SEALIFT_ACCESS_JWT_SECRET_FILE: secretFile } })
    expect(config.access.jwt?.secret).toBe('vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef')
    expect(config.access.tokens).toMatchObject([{ subject: 'a', tier: 'default', device: null }])
  })

  test('the environment names the file', () => {
    expect(configFileOf({ SEALIFT_CONFIG: '/etc/sealift.yaml' })).toBe('/etc/sealift.yaml')
    expect(configFileOf({ SEALIFT_CONFIG: '' })).toBeNull()
  })
})

describe('mistakes', () => {
  test('each is reported with the line or variable it came from', async () => {
    const file = await write('s.yaml', '# one\nlisten:\n  port: x\n  hots: y\ntiers:\n  default:\n    maxTtl: 1d\n')
    const environment = { SEALIFT_LISTEN_PROT: '1', SEALIFT_TRANSFER_PART_BYTES: '1', SEALIFT_CORS_ORIGINS: '[' }
    expect(await problemsOf({ file, environment, overrides: { log: { level: 'loud' } } })).toEqual([
      ' @ SEALIFT_LISTEN_PROT: is not a variable of Sealift; did you mean SEALIFT_LISTEN_PORT?',
      'cors.origins @ SEALIFT_CORS_ORIGINS: is not valid YAML or JSON',
      'listen.port @ /s.yaml:3: must be a whole number from 0 to 65535',
      'listen.hots @ /s.yaml:4: is not a key of the configuration; did you mean host?',
      expect.stringMatching(/^transfer.partBytes @ SEALIFT_TRANSFER_PART_BYTES: must be a size/),
      expect.stringMatching(/^log.level @ command line: must be one of trace/),
      'tiers.default.defaultTtl @ /s.yaml:6: must not be longer than maxTtl of the same tier',
    ])
  })

  test('entries of lists have lines', async () => {
    const file = await write('s.yaml', 'access:\n  tokens:\n    - subject: a\n      sha256: b\n')
    expect(await problemsOf({ file })).toEqual([expect.stringMatching(/^access.tokens\[0\].sha256 @ \/s.yaml:4: /)])
  })

  test('a file that is no YAML is reported by line, without the text of that line', async () => {
    const file = await write('s.yaml', 'listen:\n  port: 1\nsecret: "CANARY\nlisten: [}\n')
    const found = await problemsOf({ file })
    expect(found.length).toBeGreaterThan(0)
    for (const problem of found) expect(problem).toMatch(/^ @ \/s.yaml:\d+: is not valid YAML/)
    expect(found.join()).not.toContain('CANARY')
  })

  test('the same key twice, a list at the top, and files that cannot be read', async () => {
    expect(await problemsOf({ file: await write('a.yaml', 'log: {}\nlog: {}\n') })).toEqual([
      ' @ /a.yaml:2: is not valid YAML (duplicate key)',
    ])
    expect(await problemsOf({ file: await write('b.yaml', '- 1\n') })).toEqual([' @ /b.yaml: must be a map of keys'])
    expect(await problemsOf({ file: join(folder, 'none.yaml') })).toEqual([
      ' @ /none.yaml: the file cannot be read (ENOENT)',
    ])
    const file = await write('c.yaml', `access:\n  tokensFile: ${join(folder, 'none')}\n`)
    expect(await problemsOf({ file })).toEqual(['access.tokensFile @ /c.yaml:2: the file cannot be read (ENOENT)'])
    const bad = await write('d.yaml', `access:\n  tokensFile: ${await write('tokens', '- {CANARY')}\n`)
    expect(await problemsOf({ file: bad })).toEqual([
      'access.tokensFile @ /d.yaml:2: the file is not valid YAML or JSON',
    ])
  })

  test('a value and its file together', async () => {
    const file = await write('s.yaml', `access: {tokens: [], tokensFile: ${await write('t', '[]')}}\n`)
    expect(await problemsOf({ file })).toEqual([
      'access.tokensFile @ /s.yaml:1: and access.tokens are both set; keep one',
    ])
  })

  test('an alias bomb is refused', async () => {
    const lines = ['a: &a [1,1,1,1,1,1,1,1,1,1]']
    for (let i = 0; i < 9; i += 1) {
      const name = String.fromCharCode(98 + i)
      const inner = `*${String.fromCharCode(97 + i)}`
      lines.push(`${name}: &${name} [${Array.from({ length: 10 }, () => inner).join(',')}]`)
    }
    expect(await problemsOf({ file: await write('bomb.yaml', lines.join('\n')) })).toHaveLength(1)
  })
})

describe('printing', () => {
  test('prints what is in force, and it can be read again', async () => {
    const printed = printConfig(await load({ overrides: { transfer: { partBytes: '16MiB', idleTimeout: '90s' } } }))
    expect(printed).toContain('partBytes: 16MiB')
    expect(printed).toContain('idleTimeout: 90s')
    expect(printed).toContain('maxTtl: 90d')
    const again = await load({ file: await write('printed.yaml', printed) })
    expect(printConfig(again)).toBe(printed)
  })

  test('threat 65: secrets are hidden', async () => {
    const secret = 'CANARY-vU3m1cQ8xPz0TtK9sWq2LrYb6N'
    const sha256 = '0123456789abcdef'.repeat(4)
    const config = await load({
      overrides: { access: { tokens: [{ subject: 'alice', sha256 }], jwt: { algorithms: ['HS256'], secret } } },
    })
    expect(printConfig(config)).toContain('subject: alice')
    expect(printConfig(config)).toContain('secret: (hidden)')
    expect(printConfig(config)).not.toMatch(/CANARY|0123456789abcdef/)
  })

  test('warns of what is valid but dangerous', async () => {
    expect(configWarnings(await load({}))).toEqual([])
    expect(configWarnings(await load({ overrides: { access: { openMode: 'everywhere' } } }))).toHaveLength(1)
    expect(configWarnings(await load({ overrides: { access: { openMode: 'off' } } }))).toHaveLength(1)
  })
})

test('a file of a value that cannot be read is one mistake, though the value is needed', async () => {
  const overrides = { records: { kind: 'postgres', postgres: { urlFile: '/nowhere/postgres-url' } } }
  const error = await loadConfig({ environment: {}, overrides }).catch((thrown: unknown) => thrown)
  expect((error as ConfigError).problems.map(({ key }) => key)).toEqual(['records.postgres.urlFile'])
})
