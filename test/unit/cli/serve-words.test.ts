import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import { changedKeys } from '../../../src/cli/commands/serve.ts'
import { explainStart } from '../../../src/cli/server/start-error-text.ts'
import { localTime, summary } from '../../../src/cli/terminal/format-text.ts'
import { SealiftError } from '../../../src/protocol/errors.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'

const config = parseConfig({})

describe('changedKeys', () => {
  it('names what differs as it is written in a file, and never a value', () => {
    const next = parseConfig({
      transfer: { idleTimeout: '90s' },
      tiers: { default: { queue: 3, defaultTtl: '5d' }, big: {} },
      access: { tokens: [{ subject: 'a', sha256: 'ab'.repeat(32) }] },
    })
    expect(changedKeys(config, next).sort()).toEqual([
      'access.tokens',
      'tiers.big',
      'tiers.default.defaultTtl',
      'tiers.default.queue',
      'transfer.idleTimeout',
    ])
  })

  it('finds nothing between equals', () => {
    expect(changedKeys(config, parseConfig({}))).toEqual([])
  })
})

describe('explainStart', () => {
  async function listenTwice(): Promise<{ error: Error; port: number }> {
    const first = createServer().listen(0, '127.0.0.1')
    await once(first, 'listening')
    const { port } = first.address() as AddressInfo
    const [error] = (await once(createServer().listen(port, '127.0.0.1'), 'error')) as [Error]
    first.close()
    return { error, port }
  }

  it('says which port is taken, and by which setting to choose another', async () => {
    const { error, port } = await listenTwice()
    const { message } = explainStart(error, config) as Error
    expect(message).toContain(`127.0.0.1:${port} is in use`)
    expect(message).toContain('--port')
    expect((explainStart(error, parseConfig({ admin: { port } })) as Error).message).toContain('admin.port')
  })

  it('says which folder cannot be used, also when the error is wrapped', async () => {
    const inside = join(fileURLToPath(import.meta.url), 'data')
    const error: unknown = await mkdir(inside, { recursive: true }).catch((error: unknown) => error)
    const wrapped = new SealiftError('unavailable', 'The store cannot be opened', { cause: error })
    for (const each of [error, wrapped])
      expect(explainStart(each, config)).toMatchObject({ message: expect.stringContaining(inside) })
  })

  it('leaves alone what it does not know', () => {
    const bug = new TypeError('odd')
    expect(explainStart(bug, config)).toBe(bug)
  })
})

describe('words', () => {
  it('sums up a transfer', () => {
    expect(summary({ items: 4, bytes: 150 * 2 ** 20, elapsedMs: 3200 })).toBe('4 items, 150 MiB in 3.2s (46.9 MiB/s)')
    expect(summary({ items: 1, bytes: 0, elapsedMs: 0 })).toBe('1 item, 0 B in 0.0s')
  })

  it('shows times to the minute', () => {
    expect(localTime('2026-03-01T00:00:00Z')).toMatch(/^2026-0[23]-\d\d \d\d:\d\d$/)
  })
})
