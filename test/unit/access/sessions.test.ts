import { expect, test } from 'vitest'

import type { ClientCredential } from '../../../src/server/access/caller.ts'
import { createSessions } from '../../../src/server/access/sessions.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'

const turn = () => new Promise<void>(resolve => void setImmediate(resolve))

function world() {
  const live = createLiveConfig(parseConfig({}))
  const revokedCredentials = new Set<string>()
  const credential = (fingerprint: string): ClientCredential => ({
    fingerprint,
    takenBy: live.current,
    holdsIn: async () => {
      if (fingerprint === 'broken') throw new Error('the keys cannot be fetched')
      return !revokedCredentials.has(fingerprint)
    },
  })
  const reload = async () => {
    live.apply(parseConfig({}))
    await turn()
  }
  return { live, revokedCredentials, credential, reload, sessions: createSessions(live) }
}

test('everything that runs under a revoked credential ends, and nothing else', async () => {
  const { revokedCredentials, credential, reload, sessions } = world()
  const ended: string[] = []
  for (const name of ['a', 'a', 'b', 'broken']) {
    sessions.watch(credential(name), reason => void ended.push(`${name} ${reason.code}`))
  }
  revokedCredentials.add('a')
  await reload()
  expect(ended).toEqual(['a unauthorized', 'a unauthorized', 'broken unauthorized'])
  await reload()
  expect(ended).toHaveLength(3)
  expect(sessions.size).toBe(1)
})

test('a session that has ended by itself is not reported, and is forgotten', async () => {
  const { revokedCredentials, credential, reload, sessions } = world()
  let told = 0
  const watches = Array.from({ length: 3 }, () => sessions.watch(credential('a'), () => void (told += 1)))
  watches[0]?.[Symbol.dispose]()
  watches[0]?.[Symbol.dispose]()
  revokedCredentials.add('a')
  await reload()
  expect(told).toBe(2)
  expect(sessions.size).toBe(0)
  for (const watch of watches) watch[Symbol.dispose]()
})

test('a credential that was taken before the last reload is looked at again', async () => {
  const { revokedCredentials, credential, reload, sessions } = world()
  const old = credential('a')
  revokedCredentials.add('a')
  await reload()
  let told = 0
  sessions.watch(old, () => void (told += 1))
  await turn()
  expect(told).toBe(1)
})

test('a disposed watcher of reloads does nothing more', async () => {
  const { revokedCredentials, credential, reload, sessions } = world()
  let told = 0
  sessions.watch(credential('a'), () => void (told += 1))
  sessions[Symbol.dispose]()
  revokedCredentials.add('a')
  await reload()
  expect(told).toBe(0)
})
