import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'

import { generatedFiles } from '../../../scripts/make-config-docs.ts'
import { configWarnings } from '../../../src/server/config/cross-checks.ts'
import { loadConfig } from '../../../src/server/config/load-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import { readYaml } from '../../../src/server/config/config-files.ts'

const folder = fileURLToPath(new URL('../../../config/', import.meta.url))
const examples = (await readdir(folder)).filter(name => name.endsWith('.yaml'))

test('config/default.yaml and docs/configuration.md are current', async () => {
  for (const { path, content } of await generatedFiles()) {
    expect(await readFile(path, 'utf8'), `${path}: run scripts/make-config-docs.ts`).toBe(content)
  }
})

test('the annotated default says what holds without it', async () => {
  const file = `${folder}default.yaml`
  expect(await loadConfig({ file, environment: {} })).toEqual(parseConfig({}))
})

test('every commented line of the optional sections is valid once uncommented', async () => {
  const text = await readFile(`${folder}default.yaml`, 'utf8')
  const shown = text
    .replaceAll(/^ {2}(jwt|s3|postgres|valkey): null/gm, '  $1:')
    .replaceAll(/^ {2}# {3}(\w+: .*)$/gm, '    $1')
    .replace('secret: null', 'secret: vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef')
    .replace(/algorithms: .*/, 'algorithms: [HS256]')
    .replace('endpoint: ""', 'endpoint: https://s3.example')
    .replace('bucket: ""', 'bucket: media')
    .replace('url: ""', 'url: postgres://localhost/sealift')
    .replace('url: ""', 'url: redis://localhost')
  const { layer, problems } = readYaml(shown, 'default.yaml')
  expect(problems).toEqual([])
  const config = parseConfig(layer.values)
  expect(config.access.jwt).toMatchObject({ jwksCacheMs: 600_000, tierClaim: 'tier' })
  expect(config.storage.s3).toMatchObject({ region: 'us-east-1', requestTimeoutMs: 30_000 })
  expect(config.records.postgres).toMatchObject({ poolSize: 20 })
  expect(config.limits.valkey).toMatchObject({ leaseTtlMs: 10_000 })
})

test('the configuration of the compose file is valid where it runs, in a container', async () => {
  const file = fileURLToPath(new URL('../../../deploy/config.yaml', import.meta.url))
  const config = await loadConfig({ file, environment: {}, readText: withoutMounts })
  expect(config.access.openMode).toBe('off')
})

/** Files that only the container has are empty lists here. */
async function withoutMounts(path: string): Promise<string> {
  return path.startsWith('/') && !path.endsWith('deploy/config.yaml') ? '[]' : readFile(path, 'utf8')
}

/** Secrets that only a real machine has. */
async function withSecrets(path: string): Promise<string> {
  const scheme = /([a-z]+)-url$/.exec(path)?.[1]
  if (scheme) return `${scheme}://user:vU3m1cQ8xPz0TtK9@database.example:1234/0`
  return path.startsWith('/run/secrets/') ? 'vU3m1cQ8xPz0TtK9sWq2' : readFile(path, 'utf8')
}

test.each(examples)('config/%s is a valid configuration', async name => {
  const config = await loadConfig({ file: `${folder}${name}`, environment: {}, readText: withSecrets })
  expect(config.tiers['default']).toBeDefined()
  // The one example that leaves the tokens to be filled in.
  expect(configWarnings(config)).toHaveLength(name === 'behind-a-proxy.yaml' ? 1 : 0)
})
