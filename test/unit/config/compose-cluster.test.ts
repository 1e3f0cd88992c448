/** The parts of deploy/compose-cluster.yaml fit together; what runs them is not here. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'

import { loadConfig } from '../../../src/server/config/load-config.ts'

interface Service {
  readonly image?: string
  readonly build?: string
  readonly command?: readonly string[]
  readonly secrets?: readonly string[]
  readonly healthcheck?: object
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly environment?: Readonly<Record<string, string>>
  readonly networks?: unknown
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly secrets: Readonly<Record<string, { readonly file: string }>>
}

const deploy = fileURLToPath(new URL('../../../deploy/', import.meta.url))
const compose = parse(readFileSync(`${deploy}compose-cluster.yaml`, 'utf8'), { merge: true }) as Compose
const folder = mkdtempSync(join(tmpdir(), 'sealift-secrets-'))
const secrets = join(folder, 'secrets')

beforeAll(() => promisify(execFile)('sh', [`${deploy}cluster/make-secrets.sh`, secrets]))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const configuration = () =>
  loadConfig({
    file: `${deploy}cluster/config.yaml`,
    environment: {},
    readText: path => readFile(path.replace('/run/secrets', secrets), 'utf8'),
  })

test('every image is pinned, and every store is waited for until it is healthy', () => {
  for (const name of ['s3', 'postgres', 'valkey', 'balancer']) {
    expect(compose.services[name]?.image, name).toMatch(/:v?\d+\.\d+/)
  }
  for (const name of ['s3', 'postgres', 'valkey']) expect(compose.services[name]?.healthcheck, name).toBeDefined()
  for (const name of ['node-a', 'node-b']) {
    const { depends_on, build } = compose.services[name] ?? {}
    expect(build).toBe('..')
    expect(Object.entries(depends_on ?? {})).toEqual(
      ['s3', 'postgres', 'valkey'].map(each => [each, { condition: 'service_healthy' }]),
    )
  }
})

test('every secret that is used is written by the script, closed to others, and never twice the same', async () => {
  const written = readdirSync(secrets)
  for (const [name, { file }] of Object.entries(compose.secrets))
    expect(written).toContain(file.split('/').at(-1) ?? name)
  for (const { secrets: used = [] } of Object.values(compose.services)) {
    for (const name of used) expect(Object.keys(compose.secrets)).toContain(name)
  }
  expect(statSync(secrets).mode & 0o777).toBe(0o700)
  await expect(promisify(execFile)('sh', [`${deploy}cluster/make-secrets.sh`, secrets])).rejects.toThrow('already')
})

test('the configuration of the nodes is valid with these secrets, and names the services', async () => {
  const { storage, records, limits, listen } = await configuration()
  const hosts = [storage.s3?.endpoint, records.postgres?.url, limits.valkey?.url].map(
    url => new URL(url ?? '').hostname,
  )
  expect(hosts).toEqual(['s3', 'postgres', 'valkey'])
  for (const host of hosts) expect(Object.keys(compose.services)).toContain(host)
  expect(storage.s3?.accessKeyId).toMatch(/^GK[0-9a-f]{24}$/)
  expect(readFileSync(join(secrets, 's3.env'), 'utf8')).toContain(`GARAGE_DEFAULT_BUCKET=${storage.s3?.bucket}\n`)
  expect(new URL(records.postgres?.url ?? '').username).toBe(
    compose.services['postgres']?.environment?.['POSTGRES_USER'],
  )
  expect(compose.services['balancer']?.networks).toEqual({ inside: { ipv4_address: listen.trustedProxies[0] } })
  expect(readFileSync(`${deploy}cluster/Caddyfile`, 'utf8')).toContain(
    `reverse_proxy node-a:${listen.port} node-b:${listen.port} {`,
  )
})

test('the database has connections for all processes', async () => {
  const { workers, records } = await configuration()
  const setting = compose.services['postgres']?.command?.find(each => each.startsWith('max_connections='))
  const nodes = Object.keys(compose.services).filter(name => name.startsWith('node-')).length
  const needed = nodes * workers * ((records.postgres?.poolSize ?? 0) + 1)
  expect(Number(setting?.split('=')[1])).toBeGreaterThan(needed + 10)
})
