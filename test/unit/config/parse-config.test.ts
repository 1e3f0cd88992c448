import { createHash, generateKeyPairSync } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { ConfigError } from '../../../src/server/config/config-error.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'

function problemsOf(raw: RawMap): Record<string, string> {
  try {
    parseConfig(raw)
    return {}
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return Object.fromEntries(error.problems.map(({ key, message }) => [key, message]))
  }
}

const keysOf = (raw: RawMap) => Object.keys(problemsOf(raw)).sort()
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

describe('values', () => {
  test('nothing at all is the default configuration', () => {
    const config = parseConfig({})
    expect(config.listen).toMatchObject({ host: '127.0.0.1', port: 7325, publicUrl: null })
    expect(config.transfer).toMatchObject({ partBytes: 8 * 2 ** 20, idleTimeoutMs: 60_000, stopGraceMs: 10_000 })
    expect(config.tiers['default']).toMatchObject({
      concurrentUploads: 32,
      queueWaitMs: 30_000,
      maxTtlSeconds: 90 * 86_400,
      maxBytes: { image: 512 * 2 ** 20, video: 16 * 2 ** 30 },
    })
    expect(config.storage.directory).toBe('data/blobs')
    expect(config.records.file).toBe('data/records.sqlite')
  })

  test('sizes and durations may be written with units or as numbers', () => {
    const { transfer } = parseConfig({ transfer: { partBytes: '1MiB', idleTimeout: '15m', parcelWaitMax: 2500 } })
    expect(transfer).toMatchObject({ partBytes: 1_048_576, idleTimeoutMs: 900_000, parcelWaitMaxMs: 2500 })
  })

  test('a section with nothing in it is an empty one', () => {
    expect(parseConfig({ listen: null, tiers: { default: null, pro: { maxBytes: null } } }).listen.port).toBe(7325)
  })

  test('the result is frozen to its leaves', () => {
    const config = parseConfig({})
    expect(Object.isFrozen(config.tiers['default']?.maxBytes)).toBe(true)
    expect(Object.isFrozen(config.cors.origins)).toBe(true)
  })

  test('what a tier leaves out is taken from the default tier', () => {
    const { tiers } = parseConfig({
      tiers: { default: { queue: 7, maxBytes: { image: '1MiB' } }, pro: { devices: 9, maxBytes: { video: '2MiB' } } },
    })
    expect(tiers['pro']).toMatchObject({ queue: 7, devices: 9, maxBytes: { image: 2 ** 20, video: 2 ** 21 } })
    expect(tiers['default']).toMatchObject({ queue: 7, devices: 5 })
  })
})

describe('mistakes', () => {
  test('all are reported at once, those between values too', () => {
    const found = keysOf({
      listen: { host: '0.0.0.0', port: 70_000, trustedProxies: ['10.0.0.0/8', 'proxy.local', '1.2.3.4/33'] },
      transfer: { partBytes: '300KiB', idleTimeout: 'soon' },
      tiers: { default: { defaultTtl: '10d', maxTtl: '5d' }, Pro: {} },
      colour: 'blue',
    })
    expect(found).toEqual([
      'access.openMode',
      'colour',
      'listen.port',
      'listen.trustedProxies[1]',
      'listen.trustedProxies[2]',
      'tiers.Pro',
      'tiers.default.defaultTtl',
      'transfer.idleTimeout',
      'transfer.partBytes',
    ])
  })

  test('a rule between values is silent while one of them is wrong', () => {
    expect(keysOf({ tiers: { default: { defaultTtl: '10d', maxTtl: 'never' } } })).toEqual(['tiers.default.maxTtl'])
  })

  test('a mistake in the default tier is reported once, not for every tier that inherits it', () => {
    expect(keysOf({ tiers: { default: { queue: -1 }, a: {}, b: {} } })).toEqual(['tiers.default.queue'])
  })

  test.each([
    [{ lissten: {} }, 'lissten', 'did you mean listen?'],
    [{ listen: { publicURL: 'https://a.example' } }, 'listen.publicURL', 'did you mean publicUrl?'],
    [{ transfer: { idleTimeoutMs: 5 } }, 'transfer.idleTimeoutMs', 'did you mean idleTimeout?'],
    [{ tiers: { pro: { concurentUploads: 5 } } }, 'tiers.pro.concurentUploads', 'did you mean concurrentUploads?'],
    [{ access: { tokens: [{ subject: 'a', sha265: 'b' }] } }, 'access.tokens[0].sha265', 'did you mean sha256?'],
  ] as const)('an unknown key is reported with the one that was meant: %j', (raw, key, hint) => {
    expect(problemsOf(raw)[key]).toContain(hint)
  })

  test('no message repeats a value', () => {
    const canary = 'CANARY-7f3a'
    const values: RawMap = {
      dataDirectory: [canary],
      listen: { host: [canary], port: canary, publicUrl: canary, trustedProxies: [canary] },
      storage: { kind: canary },
      access: {
        openMode: canary,
        openTier: canary,
        tokens: [{ subject: `${canary} x`, sha256: canary, tier: canary }],
      },
      transfer: { partBytes: canary, idleTimeout: canary },
      cors: { origins: [canary] },
      log: { level: canary },
    }
    for (const jwt of [{ secret: canary }, { publicKey: canary }, { jwks: canary }, { jwksUrl: canary }, canary]) {
      const told = problemsOf({ ...values, access: { ...(values['access'] as RawMap), jwt } })
      expect(Object.keys(told).length).toBeGreaterThan(10)
      expect(JSON.stringify(told)).not.toContain(canary)
    }
    expect(JSON.stringify(problemsOf({ access: { openTier: canary } }))).not.toContain(canary)
  })
})

describe('rules between values', () => {
  test.each(['0.0.0.0', '::', '192.168.1.4', 'media.example.org'])(
    'open mode loopback refuses to listen on %s',
    host => {
      expect(keysOf({ listen: { host } })).toEqual(['access.openMode'])
      expect(keysOf({ listen: { host }, access: { openMode: 'off' } })).toEqual([])
      expect(keysOf({ listen: { host }, access: { openMode: 'everywhere' } })).toEqual([])
    },
  )

  test.each([
    [{ publicUrl: 'https://media.example' }, ['listen.publicUrl']],
    [{ trustedProxies: ['loopback'] }, ['listen.trustedProxies']],
    [
      { publicUrl: 'https://media.example', trustedProxies: ['private'] },
      ['listen.publicUrl', 'listen.trustedProxies'],
    ],
  ])('open mode loopback refuses to stand behind a proxy, and says what to set: %j', (listen, named) => {
    const told = problemsOf({ listen })['access.openMode'] ?? ''
    for (const word of [...named, 'off', 'everywhere']) expect(told).toContain(word)
    expect(keysOf({ listen, access: { openMode: 'loopback' } })).toEqual(['access.openMode'])
    expect(keysOf({ listen, access: { openMode: 'off' } })).toEqual([])
    expect(keysOf({ listen, access: { openMode: 'everywhere' } })).toEqual([])
  })

  test.each(['127.0.0.1', '127.8.9.1', '::1', '0:0:0:0:0:0:0:1', 'localhost'])('%s is loopback', host => {
    expect(keysOf({ listen: { host } })).toEqual([])
  })

  test('the two listeners need two ports', () => {
    expect(keysOf({ admin: { port: 7325 } })).toEqual(['admin.port'])
    expect(keysOf({ admin: { port: 7325, enabled: false } })).toEqual([])
    expect(keysOf({ listen: { port: 0 }, admin: { port: 0 } })).toEqual([])
    // The other one is a default, so it gives way.
    expect(keysOf({ listen: { port: 7326 } })).toEqual([])
  })

  test('a byte rate below the minimum of a transfer is refused', () => {
    expect(keysOf({ tiers: { slow: { uploadBytesPerSecond: 100 } } })).toEqual(['tiers.slow.uploadBytesPerSecond'])
  })

  test('tiers that are named must exist', () => {
    const token = { subject: 'a', sha256: sha256('long and random'), tier: 'gold' }
    expect(keysOf({ access: { openTier: 'silver', tokens: [token] } })).toEqual([
      'access.openTier',
      'access.tokens[0].tier',
    ])
    expect(keysOf({ access: { tokens: [token] }, tiers: { gold: {} } })).toEqual([])
  })

  test('threat 63: guessable tokens and the same token twice are refused', () => {
    const tokens = ['', 'changeme', 'password'].map(word => ({ subject: 'a', sha256: sha256(word) }))
    expect(keysOf({ access: { tokens } })).toHaveLength(3)
    const twice = { subject: 'a', sha256: sha256('f81d4fae-7dec-11d0') }
    expect(keysOf({ access: { tokens: [twice, { ...twice, subject: 'b' }] } })).toEqual(['access.tokens[1].sha256'])
  })
})

describe('signed tokens', () => {
  const { publicKey } = generateKeyPairSync('ed25519')
  const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const good = 'vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef'
  const jwt = (values: RawMap) => keysOf({ access: { jwt: values } })

  test('exactly one source of keys is needed', () => {
    expect(jwt({})).toEqual(['access.jwt'])
    expect(jwt({ publicKey: pem, jwksUrl: 'https://id.example.org/keys' })).toEqual(['access.jwt'])
    expect(jwt({ publicKey: pem })).toEqual([])
  })

  test.each([
    '',
    'short',
    'changeme-changeme-changeme-changeme',
    'a'.repeat(64),
    'your-secret-goes-here-and-is-long-enough',
  ])('threat 63: the secret %j is refused', secret => {
    expect(jwt({ algorithms: ['HS256'], secret })).toEqual(['access.jwt.secret'])
  })

  test('a public key that cannot be read is reported at once', () => {
    expect(jwt({ publicKey: pem.replace('MCow', 'XXXX') })).toEqual(['access.jwt.publicKey'])
    expect(jwt({ publicKey: 'MCowBQYDK2VwAyEA' })).toEqual(['access.jwt.publicKey'])
  })

  test('a shared secret and public keys are never mixed', () => {
    expect(jwt({ algorithms: ['HS256'], secret: good })).toEqual([])
    expect(jwt({ algorithms: ['HS256', 'EdDSA'], secret: good })).toEqual(['access.jwt.algorithms'])
    expect(jwt({ algorithms: ['HS256'], publicKey: pem })).toEqual(['access.jwt.algorithms'])
    expect(jwt({ algorithms: ['none'], publicKey: pem })).toEqual(['access.jwt.algorithms[0]'])
    expect(jwt({ algorithms: [], publicKey: pem })).toEqual(['access.jwt.algorithms'])
  })

  test('a key set is public, and fetched over a connection that cannot be tampered with', () => {
    const set = (key: RawMap) => ({ algorithms: ['EdDSA'], jwks: { keys: [key] } })
    expect(jwt(set({ kty: 'OKP', crv: 'Ed25519', x: 'abc' }))).toEqual([])
    expect(jwt(set({ kty: 'OKP', crv: 'Ed25519', x: 'abc', d: 'private' }))).toEqual(['access.jwt.jwks'])
    expect(jwt(set({ kty: 'oct', k: 'c2VjcmV0' }))).toEqual(['access.jwt.jwks'])
    expect(jwt({ jwksUrl: 'http://id.example.org/keys' })).toEqual(['access.jwt.jwksUrl'])
    expect(jwt({ jwksUrl: 'http://127.0.0.1:8080/keys' })).toEqual([])
  })
})

describe('stores of a cluster', () => {
  const s3 = { endpoint: 'https://s3.example', bucket: 'media' }
  test.each<[string, RawMap, string[]]>([
    ['s3 without its section', { storage: { kind: 's3' } }, ['storage.s3']],
    ['s3 without a bucket', { storage: { kind: 's3', s3: { endpoint: s3.endpoint } } }, ['storage.s3.bucket']],
    ['half a pair of keys', { storage: { s3: { ...s3, accessKeyId: 'a' } } }, ['storage.s3.secretAccessKey']],
    ['less memory than a part', { storage: { s3: { ...s3, memory: '4MiB' } } }, ['storage.s3.memory']],
    ['direct transfer from files', { storage: { transfer: 'direct' } }, ['storage.transfer']],
    [
      'acceleration of an S3 service',
      { storage: { kind: 's3', accelerate: 'x-accel-redirect', s3 } },
      ['storage.accelerate'],
    ],
    ['postgres without its section', { records: { kind: 'postgres' } }, ['records.postgres']],
    ...['p@ss#word@db.example/x', 'p@ss/word@db.example/x', 'p@ss?word@db.example/x', 'pass/word@db.example/x'].flatMap(
      (rest): [string, RawMap, string[]][] => [
        [
          `a password of the database that is not escaped: ${rest}`,
          { records: { postgres: { url: `postgres://a:${rest}` } } },
          ['records.postgres.url'],
        ],
        [
          `a password of Valkey that is not escaped: ${rest}`,
          { limits: { valkey: { url: `redis://a:${rest}` } } },
          ['limits.valkey.url'],
        ],
      ],
    ),
    ['a database that is no postgres', { records: { postgres: { url: 'mysql://x' } } }, ['records.postgres.url']],
    ['valkey without its section', { limits: { shared: 'valkey' } }, ['limits.valkey']],
    ['workers that would each count for themselves', { workers: 2 }, ['workers']],
  ])('%s is refused', (_, raw, keys) => {
    expect(keysOf(raw)).toEqual(keys)
  })

  test('what belongs together is taken', () => {
    const config = parseConfig({
      storage: { kind: 's3', transfer: 'direct', s3: { ...s3, accessKeyId: 'a', secretAccessKey: 'b' } },
      records: { kind: 'postgres', postgres: { url: 'postgres://db.example/sealift' } },
      limits: { shared: 'valkey', valkey: { url: 'rediss://cache.example' } },
      workers: 4,
    })
    expect(config.storage.s3).toMatchObject({ prefix: 'sealift/', pathStyle: true, maxSockets: null })
  })
})
