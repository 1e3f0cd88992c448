import { createHash, randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { localEnv } from '../support/local-token.ts'
import { runCli, startCli, until, type CliOptions } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'
import { placesOf, storedMedia } from '../support/stored-bytes.ts'

const MiB = 2 ** 20
const home = mkdtempSync(join(tmpdir(), 'sealift-cli-'))
const env = { XDG_STATE_HOME: join(home, 'state') }
let serving: Serving

beforeAll(async () => {
  serving = await startServe(home)
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

function folder(name: string, files: Readonly<Record<string, Uint8Array>>): string {
  const directory = join(home, name)
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(directory, file)), { recursive: true })
    writeFileSync(join(directory, file), bytes)
  }
  return directory
}

/** Name → SHA-256 of every file below a folder. */
function tree(directory: string): Record<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  const hashes = entries.map(entry => {
    const path = join(entry.parentPath, entry.name)
    return [path.slice(directory.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]
  })
  return Object.fromEntries(hashes) as Record<string, string>
}

/** Bytes of the item that is being received into a folder. */
function sizeOfPartial(directory: string): number {
  const partial = existsSync(directory) && readdirSync(directory).find(name => name.endsWith('.sealift-part'))
  return partial ? statSync(join(directory, partial)).size : 0
}

const sealift = (args: readonly string[], options: CliOptions = {}) =>
  runCli(args, { ...options, env: { ...env, SEALIFT_SERVER: serving.url, ...localEnv(serving.url), ...options.env } })

async function send(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await sealift(['send', ...args])
  expect(code, stderr).toBe(0)
  return stdout.toString().trim()
}

describe('the main job', () => {
  const odd = {
    empty: new Uint8Array(),
    one: randomBytes(1),
    'with space.txt': Buffer.from('hello'),
    'emoji 👍 ünï.jpg': randomBytes(300_000),
    '-starts-with-dash': randomBytes(10),
    '.hidden': randomBytes(10),
    'dots..in..name': randomBytes(10),
    [`${'n'.repeat(251)}.bin`]: randomBytes(100),
    'deep/er/est/file.bin': randomBytes(70_000),
    'chunk-border': randomBytes(262_144 - 40 - 16),
    'chunk-border-and-one': randomBytes(262_144 - 40 - 16 + 1),
    'part-border': randomBytes(8 * MiB),
    'film.mp4': randomBytes(20 * MiB + 123),
  }

  it('brings a folder of odd names and sizes back, byte for byte, with the link as the only thing on stdout', async () => {
    const directory = folder('album', odd)
    const sent = await sealift(['send', directory])
    expect(sent.code, sent.stderr).toBe(0)
    const link = sent.stdout.toString()
    expect(link).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/p\/[a-z2-7]{26}#[\w-]{43}\n$/)
    expect(sent.stderr).not.toContain(link.trim().split('#')[1])

    const inbox = join(home, 'inbox')
    const got = await sealift(['get', link.trim(), '-o', inbox])
    expect(got.code, got.stderr).toBe(0)
    expect(got.stdout.toString()).toBe('')
    const { '.hidden': hidden = '', ...others } = tree(directory)
    expect(tree(join(inbox, 'album'))).toEqual({ ...others, '_.hidden': hidden })

    const asSent = join(home, 'inbox-as-sent')
    expect((await sealift(['get', link.trim(), '-o', asSent, '--hidden'])).code).toBe(0)
    expect(tree(join(asSent, 'album'))).toEqual(tree(directory))
  })

  it('receives again beside what is there already', async () => {
    const directory = folder('repeat', { 'a.bin': randomBytes(1000) })
    const link = await send(directory)
    const inbox = join(home, 'inbox-repeat')
    await sealift(['get', link, '-o', inbox])
    const again = await sealift(['get', link, '-o', inbox])
    expect(again.code, again.stderr).toBe(0)
    const hash = tree(directory)['a.bin']
    expect(tree(inbox)).toEqual({ 'repeat/a.bin': hash, 'repeat/a (2).bin': hash })
  })

  it('keeps files that are in the way', async () => {
    const directory = folder('clash', { 'a.bin': randomBytes(1000) })
    const link = await send(join(directory, 'a.bin'))
    const inbox = folder('inbox-clash', { 'a.bin': Buffer.from('older and precious') })
    const got = await sealift(['get', link, '-o', inbox])
    expect(got.code, got.stderr).toBe(0)
    expect(readFileSync(join(inbox, 'a.bin'), 'utf8')).toBe('older and precious')
    expect(Object.values(tree(inbox))).toContain(tree(directory)['a.bin'])
  })

  it('reports to programs with --json, one object each', async () => {
    const directory = folder('json', { 'a.bin': randomBytes(1000), 'b/c.bin': randomBytes(2000) })
    const sent = JSON.parse((await sealift(['send', '--json', directory])).stdout.toString()) as Record<string, unknown>
    expect(sent).toMatchObject({
      ok: true,
      bytes: 3000,
      resumed: false,
      items: expect.arrayContaining([{ name: 'json/a.bin' }, { name: 'json/b/c.bin' }]) as unknown,
    })
    const inbox = join(home, 'inbox-json')
    const { stdout } = await sealift(['get', '--json', String(sent['link']), '-o', inbox])
    const received = JSON.parse(stdout.toString()) as { items: { name: string; path: string }[] }
    expect(received).toMatchObject({ ok: true, bytes: 3000, parcelId: sent['parcelId'] })
    for (const { path } of received.items) expect(existsSync(path)).toBe(true)
    expect(stdout.toString()).not.toContain(String(sent['link']).split('#')[1])
  })

  it('sends several paths at once, and refuses to send part of them', async () => {
    const directory = folder('several', { 'a.bin': randomBytes(10) })
    const missing = ['missing.bin', 'also-missing.bin'].map(name => join(directory, name))
    const { code, stdout, stderr } = await sealift(['send', join(directory, 'a.bin'), ...missing])
    expect(code).toBe(1)
    expect(stdout.toString()).toBe('')
    for (const path of missing) expect(stderr).toContain(path)
    expect(stderr).not.toContain('    at ')
  })

  it('leaves out symbolic links inside a folder, and follows one that is named', async () => {
    const directory = folder('links', { 'a.bin': randomBytes(10) })
    const secret = folder('elsewhere', { 'secret.bin': randomBytes(20) })
    symlinkSync(secret, join(directory, 'out'))
    symlinkSync(directory, join(directory, 'loop'))
    const inFolder = await sealift(['send', '--json', directory])
    expect(JSON.parse(inFolder.stdout.toString())).toMatchObject({
      items: [{ name: 'links/a.bin' }],
      leftOut: [join(directory, 'loop'), join(directory, 'out')],
    })
    expect(inFolder.stderr).toContain('Left out')
    symlinkSync(join(secret, 'secret.bin'), join(home, 'named-link'))
    const named = await sealift(['ls', '--json', await send(join(home, 'named-link'))])
    expect(JSON.parse(named.stdout.toString())).toMatchObject({ items: [{ name: 'named-link', bytes: 20 }] })
  })

  it('receives only what was asked for', async () => {
    const directory = folder('only', {
      'a.jpg': randomBytes(10),
      'b.png': randomBytes(10),
      'sub/c.jpg': randomBytes(10),
    })
    const link = await send(directory)
    const inbox = join(home, 'inbox-only')
    expect((await sealift(['get', link, '-o', inbox, '--only', '*.jpg'])).code).toBe(0)
    expect(Object.keys(tree(inbox)).sort()).toEqual(['only/a.jpg', 'only/sub/c.jpg'])
    const none = await sealift(['get', link, '-o', inbox, '--only', '*.gif'])
    expect(none.code).toBe(2)
  })

  it('prints the link at once with --live, and a receiver follows', async () => {
    await using sender = startCli(['send', '-', '--name', 'live.bin', '--live', '--server', serving.url], {
      env: { ...env, ...localEnv(serving.url) },
      keepStdinOpen: true,
    })
    const first = randomBytes(9 * MiB)
    const second = randomBytes(MiB)
    sender.child.stdin.write(first)
    await until('the link is printed', () => sender.stdout().includes('\n'))
    const inbox = join(home, 'inbox-live')
    await using receiver = startCli(['get', sender.stdout().trim(), '-o', inbox], { env })
    // Nobody knows how long it will be when the first of it is on the receiver's disk.
    await until('the receiver has something', () => sizeOfPartial(inbox) > MiB)
    sender.child.stdin.end(second)
    const [sent, received] = await Promise.all([sender.result, receiver.result])
    expect([sent.code, received.code], sent.stderr + received.stderr).toEqual([0, 0])
    expect(readFileSync(join(inbox, 'live.bin')).equals(Buffer.concat([first, second]))).toBe(true)
  })
})

describe('damage', () => {
  it('refuses an altered item by name, keeps nothing of it, and delivers the others', async () => {
    const directory = folder('damaged', { 'good.bin': randomBytes(1000), 'bad.bin': randomBytes(700_000) })
    const places = await placesOf(serving.dataDirectory)
    const before = (await storedMedia(places)).map(({ name }) => name)
    const link = await send(directory)
    const added = (await storedMedia(places)).filter(({ name }) => !before.includes(name))
    const contents = await Promise.all(added.map(async stored => ({ stored, bytes: await stored.read() })))
    const [largest] = contents.sort((one, other) => other.bytes.length - one.bytes.length)
    if (!largest) throw new Error('The server has stored nothing')
    largest.bytes.writeUInt8(largest.bytes.readUInt8(500_000) ^ 1, 500_000)
    await largest.stored.write(largest.bytes)

    const inbox = join(home, 'inbox-damaged')
    const { code, stdout, stderr } = await sealift(['get', '--json', link, '-o', inbox])
    expect(code).toBe(1)
    expect(stderr).toMatch(/1 item could not be received:\n {2}damaged\/bad\.bin: .+/)
    expect(JSON.parse(stdout.toString())).toMatchObject({
      ok: false,
      items: [
        { name: 'damaged/bad.bin', ok: false, path: null, error: { code: 'damaged_media' } },
        { name: 'damaged/good.bin', ok: true },
      ],
    })
    expect(tree(inbox)).toEqual({ 'damaged/good.bin': tree(directory)['good.bin'] })
  })
})

describe('streams', () => {
  it('takes bytes of unknown length from stdin and gives them back on stdout, in order', async () => {
    const bytes = randomBytes(20 * MiB + 7)
    const sent = await sealift(['send', '-', '--name', 'stream.bin'], { stdin: bytes })
    expect(sent.code, sent.stderr).toBe(0)
    const got = await sealift(['get', '--stdout', sent.stdout.toString().trim()])
    expect(got.code, got.stderr).toBe(0)
    expect(got.stdout.equals(bytes)).toBe(true)
  })

  it('an empty stream is an empty item', async () => {
    const sent = await sealift(['send', '-'])
    expect(sent.code, sent.stderr).toBe(0)
    const got = await sealift(['get', '--stdout', sent.stdout.toString().trim()])
    expect(got.code, got.stderr).toBe(0)
    expect(got.stdout.length).toBe(0)
  })

  it('--stdout wants one item, and names those there are', async () => {
    const directory = folder('two', { 'a.txt': Buffer.from('first'), 'b.txt': Buffer.from('second') })
    const link = await send(directory)
    const both = await sealift(['get', '--stdout', link])
    expect(both.code).toBe(2)
    expect(both.stderr).toContain('two/a.txt')
    expect(both.stdout.length).toBe(0)
    const one = await sealift(['get', '--stdout', '--only', 'b.txt', link])
    expect(one.stdout.toString()).toBe('second')
  })

  it('ends with one line when nobody reads its output any more', async () => {
    const sent = await sealift(['send', '-'], { stdin: randomBytes(30 * MiB) })
    await using reader = startCli(['get', '--stdout', sent.stdout.toString().trim()], { env })
    await until('something comes out', () => reader.stdout().length > 0)
    reader.child.stdout.destroy()
    const { code, stderr } = await reader.result
    expect(code).toBe(1)
    expect(stderr).toMatch(/^sealift: Stopped, because the output was closed\.\n$/m)
    expect(stderr).not.toMatch(/EPIPE|    at /)
  })
})

describe('ls', () => {
  it('lists sizes, types and names, with nothing that could speak to the terminal', async () => {
    const directory = folder('list', { 'photo.jpg': randomBytes(1000), 'evil\u001b[2J.txt': randomBytes(5) })
    const { code, stdout } = await sealift(['ls', await send(directory)])
    expect(code).toBe(0)
    expect(stdout.toString()).toContain('list/photo.jpg')
    expect(stdout.toString()).toContain('list/evil�[2J.txt')
    expect(stdout.toString().replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
  })
})
