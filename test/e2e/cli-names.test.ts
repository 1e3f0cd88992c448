/** What `send`, `publish` and `get` say of names, and of lengths that are told late. */
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { runCli } from '../../src/cli/program.ts'
import { joinNames } from '../../src/client/node/files/held-folder.ts'
import { localAuth, localEnv } from '../support/local-token.ts'
import { clientIn, content } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'
import { fakeIo, type FakeIo } from '../unit/cli/fake-io.ts'

let home: TempDirectory
let server: TestServer
let runs = 0

beforeAll(async () => {
  home = await tempDirectory()
  server = await startTestServer()
  vi.stubEnv('XDG_STATE_HOME', join(home.path, 'xdg'))
})

afterAll(async () => {
  vi.unstubAllEnvs()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

async function run(
  args: readonly string[],
  io: FakeIo = fakeIo({ SEALIFT_SERVER: server.url, ...localEnv(server.url), XDG_STATE_HOME: join(home.path, 'xdg') }),
) {
  const code = await runCli(args, io)
  return { code, out: io.out(), err: io.err() }
}

const inbox = (): string => join(home.path, `in ${(runs += 1)}`)

async function send(names: readonly string[]): Promise<string> {
  await using sealift = clientIn(home.path, { server: server.url })
  return (await sealift.send(names.map(name => ({ name, source: content(name, 10) })))).link
}

interface Got {
  readonly bytes: number
  readonly items: readonly { name: string; path: string; bytes: number; renamed: string[] }[]
}

describe('get', () => {
  test('says each change of a name, for people and for programs, and not with -q', async () => {
    const link = await send(['.bashrc', 'a.txt', 'a.txt', ' ', 'C: notes.txt', 'Con.Air.mkv', '../x'])
    const into = inbox()
    const { code, err, out } = await run(['get', link, '-o', into, '--json'])
    expect(code).toBe(0)
    const told = err.split('\n').filter(line => line.includes(' is saved as '))
    expect(told).toEqual([
      '".bashrc" is saved as "_.bashrc": the system would hide or obey that name (--hidden keeps it).',
      '"a.txt" is saved as "a (2).txt": that name is taken.',
      '"../x" is saved as "x": that name leads out of the folder.',
    ])
    const { items } = JSON.parse(out) as Got
    expect(items.map(({ path, renamed }) => [path.slice(into.length + 1), renamed])).toEqual([
      ['_.bashrc', ['hidden']],
      ['a.txt', []],
      ['a (2).txt', ['taken']],
      [' ', []],
      ['C: notes.txt', []],
      ['Con.Air.mkv', []],
      ['x', ['outside']],
    ])
    const quiet = await run(['get', link, '-o', inbox(), '-q'])
    expect([quiet.code, quiet.err]).toEqual([0, ''])
    const hidden = await run(['get', link, '-o', inbox(), '--hidden'])
    expect(hidden.err).not.toContain('.bashrc')
  })

  test('says no more than twenty lines of it', async () => {
    const { err } = await run(['get', await send(Array.from({ length: 50 }, (_, index) => `.${index}`)), '-o', inbox()])
    expect(err.split('\n').filter(line => line.includes(' is saved as '))).toHaveLength(20)
    expect(err).toContain('30 more have another name')
  })

  test('counts the bytes of a followed stream', async () => {
    const source = new PassThrough()
    const io = fakeIo({ SEALIFT_SERVER: server.url, ...localEnv(server.url) }, source)
    const sending = runCli(['send', '-', '--live', '-q'], io)
    source.write(content('first', 1_500_000))
    await vi.waitUntil(() => io.out().includes('\n'), { timeout: 20_000 })
    const got = fakeIo({ SEALIFT_SERVER: server.url, ...localEnv(server.url) })
    const getting = runCli(['get', io.out().trim(), '-o', inbox(), '--json'], got)
    await vi.waitUntil(
      async () =>
        (
          (await (await fetch(`${server.url}/v1/limits`, { headers: localAuth(server.url) })).json()) as {
            usage: { downloads: number }
          }
        ).usage.downloads > 0,
      {
        timeout: 20_000,
      },
    )
    source.end(content('second', 1_500_000))
    expect(await Promise.all([sending, getting])).toEqual([0, 0])
    const { bytes, items } = JSON.parse(got.out()) as Got
    expect([bytes, items.map(item => item.bytes)]).toEqual([3_000_000, [3_000_000]])
    expect(got.err()).toContain('2.9 MiB')
  })

  test('goes on without a state directory that can be written, and says what that costs', async () => {
    const link = await send(['a.txt'])
    await writeFile(join(home.path, 'blocked'), '')
    vi.stubEnv('XDG_STATE_HOME', join(home.path, 'blocked'))
    try {
      const { code, err } = await run(['get', link, '-o', inbox()])
      expect(code).toBe(0)
      expect(err).toContain('If this is interrupted, it begins anew.')
    } finally {
      vi.stubEnv('XDG_STATE_HOME', join(home.path, 'xdg'))
    }
  })
})

describe.runIf(process.platform === 'linux')('names that are not UTF-8', () => {
  let folder: string

  beforeAll(async () => {
    folder = join(home.path, 'n')
    await mkdir(folder)
    await writeFile(joinNames(folder, Buffer.from('caf\xe9.txt', 'latin1')), 'a')
    await writeFile(join(folder, 'ok.txt'), 'b')
    await writeFile(join(folder, '.hidden'), 'c')
    await symlink('ok.txt', join(folder, 'link'))
  })

  test('are sent in a readable form, and that is said', async () => {
    const { code, out, err } = await run(['send', folder, '--json'])
    expect(code, err).toBe(0)
    const { link, renamed } = JSON.parse(out) as { link: string; renamed: string[] }
    expect(renamed).toEqual(['n/caf%E9.txt'])
    expect(err).toContain('"n/caf%E9.txt"')
    const into = inbox()
    expect((await run(['get', link, '-o', into])).code).toBe(0)
    expect(await readFile(join(into, 'n', 'caf%E9.txt'), 'utf8')).toBe('a')
  })

  test('are published so too, and what is passed over is named', async () => {
    const { code, out, err } = await run(['publish', folder, '--settle', '0', '--json'])
    expect(code, err).toBe(0)
    const names = out
      .trim()
      .split('\n')
      .map(line => (JSON.parse(line) as { name: string }).name)
    expect(names.sort()).toEqual(['n/caf%E9.txt', 'n/ok.txt'])
    expect(err).toContain('The name of "n/caf%E9.txt" is not UTF-8')
    expect(err).toContain(`Passed over "${join(folder, '.hidden')}", which has a hidden or temporary name.`)
    expect(err).toContain(`Passed over "${join(folder, 'link')}", which is a symbolic link or no file.`)
    expect(err.split('\n').filter(line => line.startsWith('Passed over'))).toHaveLength(2)
  })
})
