import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, expect, test } from 'vitest'

import { createLiveConfig, type LiveConfigHolder } from '../../../src/server/config/live-config.ts'
import {
  type ConfigSources,
  createReloader,
  loadConfig,
  type ReloadResult,
} from '../../../src/server/config/load-config.ts'

let folder = ''
let file = ''
let live: LiveConfigHolder
let reload: () => Promise<ReloadResult>

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sealift-reload-'))
  file = join(folder, 'sealift.yaml')
  await writeFile(file, 'tiers: {default: {concurrentUploads: 4}}\n')
  const sources: ConfigSources = { file, environment: {}, overrides: { listen: { port: 0 } } }
  live = createLiveConfig(await loadConfig(sources))
  reload = createReloader(live, sources)
})
afterEach(() => rm(folder, { recursive: true }))

test('limits change at once; what was read before stays as it was', async () => {
  const before = live.current
  await writeFile(file, 'tiers: {default: {concurrentUploads: 9}, pro: {queue: 1}}\nlog: {level: debug}\n')
  expect(await reload()).toEqual({ ok: true, needRestart: [] })
  expect(live.current.tiers['default']?.concurrentUploads).toBe(9)
  expect(live.current.tiers['pro']?.queue).toBe(1)
  expect(live.current.log.level).toBe('debug')
  expect(before.tiers['default']?.concurrentUploads).toBe(4)
})

test('what needs a restart is reported and retains its value', async () => {
  await writeFile(file, 'dataDirectory: /elsewhere\nlisten: {maxConnections: 5}\ntiers: {default: {queue: 3}}\n')
  const result = await reload()
  expect(result).toEqual({
    ok: true,
    needRestart: ['dataDirectory', 'listen.maxConnections', 'storage.directory', 'records.file'],
  })
  expect(live.current.dataDirectory).toBe('./data')
  expect(live.current.tiers['default']?.queue).toBe(3)
})

test('a bad file leaves everything in force and is reported to the caller only', async () => {
  let changes = 0
  live.subscribe(() => void (changes += 1))
  const before = live.current
  await writeFile(file, 'tiers: {default: {concurrentUploads: 0}}\nlog: {level: debug}\n')
  expect(await reload()).toMatchObject({ ok: false, problems: [{ key: 'tiers.default.concurrentUploads' }] })
  await rm(file)
  expect(await reload()).toMatchObject({ ok: false })
  expect(live.current).toBe(before)
  expect(changes).toBe(0)
})

test('a file that is valid alone but not with what keeps running is refused', async () => {
  // The host cannot change while the server runs, and loopback is not taken on an open host.
  const open: ConfigSources = { file, environment: {} }
  await writeFile(file, 'listen: {host: 0.0.0.0}\naccess: {openMode: off}\n')
  const holder = createLiveConfig(await loadConfig(open))
  await writeFile(file, 'listen: {host: 127.0.0.1}\naccess: {openMode: loopback}\n')
  const result = await createReloader(holder, open)()
  expect(result).toMatchObject({ ok: false, problems: [{ key: 'access.openMode' }] })
  expect(holder.current.access.openMode).toBe('off')
})

test('subscribers are notified of the change with both configurations until they stop', async () => {
  const heard: (readonly [number | undefined, number | undefined])[] = []
  const subscription = live.subscribe((next, previous) => {
    heard.push([previous.tiers['default']?.concurrentUploads, next.tiers['default']?.concurrentUploads])
  })
  await writeFile(file, 'tiers: {default: {concurrentUploads: 5}}\n')
  await reload()
  subscription[Symbol.dispose]()
  await writeFile(file, 'tiers: {default: {concurrentUploads: 6}}\n')
  await reload()
  expect(heard).toEqual([[4, 5]])
})

test('reloads that come together end with the last file', async () => {
  const results = Array.from({ length: 20 }, async (_, index) => {
    if (index === 10) await writeFile(file, 'tiers: {default: {concurrentUploads: 77}}\n')
    return reload()
  })
  await Promise.all(results)
  await reload()
  expect(live.current.tiers['default']?.concurrentUploads).toBe(77)
})
