/** What a link can do to the folder it is received into: nothing hidden, nothing believed for its name. */
import { existsSync } from 'node:fs'
import { appendFile, mkdir, readdir, readFile, rename, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { beforeEach, describe, expect, test } from 'vitest'

import { journalPath } from '../../src/client/node/receive/receive-journal.ts'
import type { ReceiveOptions, SealiftError } from '../../src/client/node/index.ts'
import { clientIn, content, digest, digests } from '../support/sdk.ts'
import { eventually } from '../support/eventually.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'

const MIB = 1024 * 1024
const stage = sdkPerTest()
let into: string

beforeEach(() => {
  into = join(stage.home.path, 'in')
})

const send = async (names: readonly string[], bytes = 100): Promise<string> =>
  (await stage.sealift.send(names.map(name => ({ name, source: content(name, bytes) })))).link

const receive = (link: string, options: Partial<ReceiveOptions> = {}) =>
  stage.sealift.receive(link, { directory: into, ...options })

const receives = (): string => join(stage.home.path, 'state', 'receives')
const partials = async (): Promise<string[]> =>
  (await readdir(into, { recursive: true })).filter(name => name.endsWith('.sealift-part'))

describe('a link that holds hidden names', () => {
  const names = ['.ssh/authorized_keys', '.zshenv', 'a/.config/autostart/x.desktop', 'plain.txt']

  test('makes no hidden file or folder, and what was renamed is told', async () => {
    const { items, complete } = await receive(await send(names))
    expect(complete).toBe(true)
    const found = await readdir(into, { recursive: true })
    expect(found.filter(path => path.split('/').some(part => part.startsWith('.')))).toEqual([])
    expect(items.map(({ path, changes }) => [path?.slice(into.length + 1), changes])).toEqual([
      ['_.ssh/authorized_keys', ['hidden']],
      ['_.zshenv', ['hidden']],
      ['a/_.config/autostart/x.desktop', ['hidden']],
      ['plain.txt', []],
    ])
  })

  test('makes them where the receiver asks for that', async () => {
    const { items } = await receive(await send(names), { hidden: true })
    expect(items.map(({ path, changes }) => [path?.slice(into.length + 1), changes])).toEqual(
      names.map(name => [name, []]),
    )
  })
})

test('a name that something on the disk has is numbered, and that is told', async () => {
  await mkdir(into)
  await writeFile(join(into, 'a.txt'), 'mine')
  const { items } = await receive(await send(['a.txt']))
  expect(items).toMatchObject([{ path: join(into, 'a (2).txt'), changes: ['taken'], bytes: 100 }])
  expect(await readFile(join(into, 'a.txt'), 'utf8')).toBe('mine')
})

/** Receives until a part is there, then stops, to be gone on with. */
async function interrupted(link: string): Promise<string> {
  const proxy = await startFlakyProxy(stage.server.url)
  await using _ = proxy
  await using slow = clientIn(stage.home.path, { server: proxy.url })
  const here = link.replace(stage.server.url, proxy.url)
  proxy.delayMs = 20
  const stop = new AbortController()
  const receiving = slow.receive(here, { directory: into, keepOnAbort: true, signal: stop.signal })
  receiving.catch(() => undefined)
  await eventually('a part is there', async () => {
    const [journal] = existsSync(receives()) ? await readdir(receives()) : []
    return journal !== undefined && (await readFile(join(receives(), journal), 'utf8')).includes('"range"')
  })
  stop.abort()
  await expect(receiving).rejects.toMatchObject({ code: 'aborted' })
  return join(receives(), (await readdir(receives()))[0] ?? '')
}

/** The journal of the proxy's link as that of the server's. */
async function adopt(journal: string, link: string): Promise<void> {
  await rename(journal, await journalPath(join(stage.home.path, 'state'), into, link))
}

describe('what an interrupted receive has left', () => {
  const film = content('film', 18 * MIB)
  let link: string

  beforeEach(async () => {
    link = (await stage.sealift.send([{ name: 'film', source: film }])).link
    await adopt(await interrupted(link), link)
  })

  test('is gone on with, and nothing of it stays', async () => {
    const [partial = ''] = await partials()
    const { ino } = await stat(join(into, partial))
    expect(await receive(link)).toMatchObject({ complete: true, items: [{ bytes: film.byteLength }] })
    expect((await stat(join(into, 'film'))).ino).toBe(ino)
    expect(await digests(into)).toEqual({ film: digest(film) })
    expect(await readdir(receives())).toEqual([])
  })

  test('has journals that only their user reads, outside the folder', async () => {
    expect(await readdir(into)).toEqual(await partials())
    for (const path of [receives(), join(receives(), (await readdir(receives()))[0] ?? '')]) {
      expect((await stat(path)).mode & 0o077).toBe(0)
    }
  })

  test.each([
    ['another file', async (path: string) => writeFile(path, new Uint8Array(film.byteLength))],
    [
      'a symbolic link',
      async (path: string) => {
        await symlink(join(stage.home.path, 'victim'), path)
      },
    ],
  ])('is not believed for its name: %s in its place is neither read nor written', async (_, plant) => {
    const [partial = ''] = await partials()
    // Kept, so that its inode is not given out anew.
    await rename(join(into, partial), join(stage.home.path, 'old'))
    await writeFile(join(stage.home.path, 'victim'), 'mine')
    await plant(join(into, partial))
    expect(await receive(link)).toMatchObject({ complete: true })
    expect(await digests(into)).toEqual({ film: digest(film) })
    expect(await readFile(join(stage.home.path, 'victim'), 'utf8')).toBe('mine')
  })

  test('is not state for the same parcel id on another server, nor in another folder', async () => {
    const state = join(stage.home.path, 'state')
    const paths = await Promise.all([
      journalPath(state, into, link),
      journalPath(state, into, link.replace(stage.server.url, 'https://evil.example')),
      journalPath(state, `${into}2`, link),
    ])
    expect(new Set(paths).size).toBe(3)
  })

  test('is deleted when its link has ended', async () => {
    await stage.sealift.delete(link)
    await expect(receive(link)).rejects.toMatchObject({ code: 'gone' })
    expect([await readdir(into), await readdir(receives())]).toEqual([[], []])
  })

  test('is deleted when it was not gone on with for a month, by any other receive', async () => {
    const journal = join(receives(), (await readdir(receives()))[0] ?? '')
    const twentyNineDays = new Date(Date.now() - 29 * 86_400_000)
    await utimes(journal, twentyNineDays, twentyNineDays)
    const other = await send(['other.txt'])
    await receive(other, { directory: join(stage.home.path, 'elsewhere') })
    expect(await partials()).toHaveLength(1)
    const thirtyOneDays = new Date(Date.now() - 31 * 86_400_000)
    await utimes(journal, thirtyOneDays, thirtyOneDays)
    await receive(other, { directory: join(stage.home.path, 'elsewhere 2') })
    expect([await readdir(into), await readdir(receives())]).toEqual([[], []])
  })
})

test('a journal says nothing of files that are not its own', async () => {
  const link = await send(['kept.txt'])
  await mkdir(into)
  await writeFile(join(into, 'precious'), 'mine')
  const outside = join(stage.home.path, `.${'a'.repeat(32)}.sealift-part`)
  await writeFile(outside, 'mine')
  const journal = await journalPath(join(stage.home.path, 'state'), into, link)
  const lines = [
    { receive: 1, directory: into },
    ...['precious', `../.${'a'.repeat(32)}.sealift-part`].map(partial => ({ item: 'x', partial })),
  ]
  await writeFile(journal, lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  await receive(link)
  expect(await readFile(join(into, 'precious'), 'utf8')).toBe('mine')
  expect(await readFile(outside, 'utf8')).toBe('mine')
})

test('an item that is named like a journal or a partial file is an item, and is never read as state', async () => {
  const old = `.${'0'.repeat(16)}.sealift-journal`
  const names = [old, `.${'0'.repeat(32)}.sealift-part`, '.film.000000000000.sealift-part']
  const first = await send(names)
  await receive(first, { hidden: true })
  // What earlier versions took for a journal: every item is there, it says.
  await appendFile(join(into, old), '{"item":"x","named":"planted","ino":"1","sync":true}\n')
  expect(await receive(await send(['a.txt']))).toMatchObject({ complete: true })
  expect(await receive(first, { hidden: true })).toMatchObject({ complete: true })
  for (const name of names) expect(existsSync(join(into, name))).toBe(true)
})

test('no item becomes a journal where the state directory is inside the folder, nor is it received into', async () => {
  const names = ['state/receives/x.jsonl', 'state/parcels/y.json', 'state/z']
  const link = await send(names)
  const received = await receive(link, { directory: stage.home.path })
  expect(received.items.map(({ path }) => path?.slice(stage.home.path.length + 1))).toEqual(
    names.map(name => name.replace('state', 'state (2)')),
  )
  const inside = join(stage.home.path, 'state', 'receives')
  await expect(receive(link, { directory: inside })).rejects.toMatchObject({ code: 'local_file' })
  expect(await readdir(inside)).toEqual([])
})

test('a state directory that cannot be written costs going on later, and nothing else', async () => {
  const link = await send(['a.txt'])
  const blocked = join(stage.home.path, 'blocked')
  await writeFile(blocked, '')
  const told: string[] = []
  const onStateFailure = ({ code }: SealiftError): void => void told.push(code)
  await using client = clientIn(blocked, { server: stage.server.url, onStateFailure })
  const received = await client.receive(link, { directory: into })
  expect([received.complete, told]).toEqual([true, ['local_file']])
  expect(await readdir(into)).toEqual(['a.txt'])
})
