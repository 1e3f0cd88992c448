import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { localEnv } from '../support/local-token.ts'
import { runCli } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'
import { placesOf } from '../support/stored-bytes.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-links-'))
const mine = { XDG_STATE_HOME: join(home, 'mine') }
const others = { XDG_STATE_HOME: join(home, 'others') }
const TOKEN = 'a-token-of-alice'
const sha256 = createHash('sha256').update(TOKEN).digest('hex')
let serving: Serving

beforeAll(async () => {
  serving = await startServe(home, { access: { tokens: [{ subject: 'alice', sha256 }] } })
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  rmSync(home, { recursive: true, force: true })
})

const bytes = randomBytes(200_000)
const file = join(home, 'file.bin')
writeFileSync(file, bytes)

async function run(args: readonly string[], env: Readonly<Record<string, string>> = mine) {
  const { code, stdout, stderr } = await runCli(args, {
    env: { SEALIFT_SERVER: serving.url, ...localEnv(serving.url), ...env },
  })
  return { code, out: stdout.toString().trim(), stderr }
}

async function send(env: Readonly<Record<string, string>> = mine): Promise<string> {
  const { code, out, stderr } = await run(['send', file], env)
  expect(code, stderr).toBe(0)
  return out
}

describe('forward and rm', () => {
  it('forwards to a new link that outlives the old one', async () => {
    const link = await send()
    const forwarded = await run(['forward', link, '--ttl', '1h'])
    expect(forwarded.code, forwarded.stderr).toBe(0)
    expect(forwarded.out).toMatch(/^http:\/\/\S+#[\w-]{43}$/)
    expect(forwarded.out).not.toBe(link)
    expect((await run(['rm', link])).code).toBe(0)
    expect((await run(['get', link, '-o', join(home, 'gone')])).code).toBe(1)
    const got = await run(['get', forwarded.out, '-o', join(home, 'forwarded')])
    expect(got.code, got.stderr).toBe(0)
    expect(readFileSync(join(home, 'forwarded', 'file.bin')).equals(bytes)).toBe(true)
    expect((await run(['rm', forwarded.out])).code).toBe(0)
  })

  it.each([
    [1, ', with 1 download:'],
    [2, ', with 2 downloads:'],
  ])('says what a forward of a link with %d downloads shares', async (downloads, said) => {
    const sent = await run(['send', file, '--max-downloads', `${downloads}`, '-q'])
    const { code, stderr } = await run(['forward', sent.out])
    expect([code, stderr]).toEqual([0, expect.stringContaining(said)])
    expect(stderr).toContain('Its downloads are counted together')
  })

  it('says that there is nothing more to delete, which is no failure', async () => {
    const link = await send()
    expect((await run(['rm', link])).code).toBe(0)
    const again = await run(['rm', '--json', link])
    expect(again.code, again.stderr).toBe(0)
    expect(again.stderr).toContain('was deleted already, or has expired.')
    expect(JSON.parse(again.out)).toMatchObject({ ok: true, parcels: [{ ok: true, already: true }] })
  })

  it('fails on a link that the server never knew', async () => {
    const { code, stderr } = await run(['rm', `${serving.url}/p/${'b'.repeat(26)}#${'A'.repeat(43)}`])
    expect(code).toBe(1)
    expect(stderr).toContain('There is no such parcel, or it is not yours')
  })

  it('refuses to delete what another sent, says what it takes, and deletes the others', async () => {
    const theirs = await send(others)
    const ours = await send()
    const { code, out, stderr } = await run(['rm', '--json', theirs, ours])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      parcels: [{ ok: false, error: { code: 'forbidden' } }, { ok: true }],
    })
    expect(stderr).toContain('--token')
    expect((await run(['ls', theirs])).code).toBe(0)
    expect((await run(['ls', ours])).code).toBe(1)
  })

  it('takes the token it was sent with, from anywhere', async () => {
    const link = await send({ ...mine, SEALIFT_TOKEN: TOKEN })
    expect((await run(['rm', link], others)).code).toBe(1)
    const removed = await run(['rm', '--token', TOKEN, link], { ...others, SEALIFT_SERVER: 'http://127.0.0.1:9' })
    expect(removed.code, removed.stderr).toBe(0)
  })
})

describe('a link that does not work is a plain message', () => {
  const inbox = join(home, 'inbox')
  const get = (link: string) => run(['get', link, '-o', inbox])

  it.each([
    ['no link at all', 'hello', /not a Sealift link/],
    ['no key', `http://127.0.0.1:1/p/${'a'.repeat(26)}`, /key, the part behind #, is missing/],
    ['a cut key', `http://127.0.0.1:1/p/${'a'.repeat(26)}#abc`, /missing or incomplete/],
  ])('%s', async (_, link, message) => {
    const { code, stderr } = await get(link)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('    at ')
  })

  it('a wrong key', async () => {
    const link = await send()
    const { code, stderr } = await get(`${link.split('#')[0]}#${'A'.repeat(43)}`)
    expect(code).toBe(1)
    expect(stderr).not.toMatch(/    at |AAAA/)
    expect(stderr).toMatch(/^sealift: .+\n.+/)
    expect(existsSync(inbox) ? readdirSync(inbox) : []).toEqual([])
  })

  it('a parcel that is not there', async () => {
    const { code, stderr } = await get(`${serving.url}/p/${'a'.repeat(26)}#${'A'.repeat(43)}`)
    expect(code).toBe(1)
    expect(stderr).toContain('Check that the link is complete')
  })

  it('one that was deleted', async () => {
    const link = await send()
    await run(['rm', link])
    const { code, stderr } = await get(link)
    expect(code).toBe(1)
    expect(stderr).toContain('ask for a new link')
  })

  it('used-up downloads, without the key in any message', async () => {
    const limited = await run(['send', file, '--max-downloads', '1'])
    expect((await run(['get', limited.out, '-o', join(home, 'first')])).code).toBe(0)
    const second = await run(['get', '--json', limited.out, '-o', join(home, 'second')], others)
    expect(second.code).toBe(1)
    expect(second.stderr + second.out).not.toContain(limited.out.split('#')[1])
    expect(JSON.parse(second.out)).toMatchObject({ ok: false })
    expect(existsSync(join(home, 'second', 'file.bin'))).toBe(false)
  })
})

describe('refusals by the server', () => {
  it('a wrong token is told, and not repeated', async () => {
    const { code, stderr } = await run(['send', file, '--token', 'not-a-real-token'])
    expect(code).toBe(1)
    expect(stderr).toContain('token')
    expect(stderr).not.toContain('not-a-real-token')
  })

  it('a limit names itself', async () => {
    const { code, out } = await run(['send', '--json', '--ttl', '500d', file])
    expect(code).toBe(1)
    expect(JSON.parse(out)).toMatchObject({ ok: false, error: { code: 'invalid_request' } })
  })
})

describe('doctor', () => {
  it('finds nothing wrong with a healthy server', async () => {
    const { code, out, stderr } = await run(['doctor', '--json'])
    const { checks } = JSON.parse(out) as { checks: { name: string; status: string }[] }
    expect(code, out + stderr).toBe(0)
    expect(checks.map(({ name, status }) => `${name} ${status}`)).toEqual(
      ['server', 'clock', 'ready', 'version', 'access', 'round trip', 'whole part'].map(name => `${name} ok`),
    )
  })

  it('says that nothing listens, and where', async () => {
    const gone = await startServe(mkdtempSync(join(home, 'gone-')))
    await gone[Symbol.asyncDispose]()
    const { code, out } = await run(['doctor', '--server', gone.url])
    expect(code).toBe(1)
    expect(out).toContain(`${gone.url} cannot be reached: nothing listens there`)
  })

  it('looks at the server of this machine', async () => {
    const { code, out, stderr } = await run(['doctor', '--config', serving.configFile, '--json'])
    const { checks } = JSON.parse(out) as { checks: { name: string; status: string }[] }
    const { storage } = await placesOf(serving.dataDirectory)
    const ofStores =
      storage.s3 === null
        ? ['data', 'storage', 'disk', 'workers', 'records']
        : ['s3', 'workers', 'valkey', 'postgres', 'pg']
    const areas = new Set(checks.map(({ name }) => name.split(' ')[0]))
    expect([...areas]).toEqual(['configuration', ...ofStores, 'port', 'backlog'])
    expect(
      checks.filter(({ name, status }) => status === 'fail' && name !== 'disk'),
      out + stderr,
    ).toEqual([])
    expect(code === 0).toBe(checks.every(({ status }) => status !== 'fail'))
  })

  it('says what is wrong with a configuration or a folder', async () => {
    const wrong = join(home, 'wrong.yaml')
    writeFileSync(wrong, 'listen: {port: x}')
    const bad = await run(['doctor', '--config', wrong])
    expect(bad.code).toBe(1)
    expect(bad.out).toContain('listen.port')
    const noFolder = await run(['doctor', '--data', join(file, 'inside-a-file')])
    expect(noFolder.code).toBe(1)
    expect(noFolder.out).toContain('a folder was expected')
  })
})

describe('a link that is no argument, where other users could see it', () => {
  const inbox = (name: string): string => join(home, `inbox ${name}`)

  it.each([
    ['a variable', () => ({ args: [], env: true })],
    ['standard input', () => ({ args: ['-'], stdin: (link: string) => `\n  ${link}\r\n` })],
    ['a file', () => ({ args: [`@${join(home, 'link.txt')}`], file: (link: string) => `\ufeff${link}\n` })],
  ] as const)('comes from %s, for get, ls, forward, play and rm', async (name, how) => {
    const { args, ...from } = how() as {
      args: string[]
      env?: boolean
      stdin?: (link: string) => string
      file?: (link: string) => string
    }
    const link = await send()
    if (from.file) writeFileSync(join(home, 'link.txt'), from.file(link))
    const options = {
      env: {
        SEALIFT_SERVER: serving.url,
        ...localEnv(serving.url),
        ...mine,
        ...(from.env ? { SEALIFT_LINK: link } : {}),
      },
      ...(from.stdin && { stdin: Buffer.from(from.stdin(link)) }),
    }
    const got = await runCli(['get', ...args, '-o', inbox(name)], options)
    expect(got.code, got.stderr).toBe(0)
    expect(readFileSync(join(inbox(name), 'file.bin')).equals(bytes)).toBe(true)
    const listed = await runCli(['ls', ...args], options)
    expect(listed.stdout.toString()).toContain('file.bin')
    expect((await runCli(['forward', ...args], options)).stdout.toString()).toMatch(/^http\S+#\S+\n$/)
    const item = from.env ? ['nothing-of-this-name'] : [...args, 'nothing-of-this-name']
    const played = await runCli(['play', ...item], options)
    expect([played.code, played.stderr]).toEqual([2, expect.stringContaining('No item of this link')])
    const removed = await runCli(['rm', ...args], options)
    expect(removed.code, removed.stderr).toBe(0)
  })

  it('rm takes a list of them', async () => {
    const links = [await send(), await send()]
    writeFileSync(join(home, 'links.txt'), `${links.join('\n')}\n`)
    const { code, out } = await run(['rm', `@${join(home, 'links.txt')}`, '--json'])
    expect([code, (JSON.parse(out) as { parcels: unknown[] }).parcels]).toEqual([
      0,
      [{}, {}].map(() => expect.anything()),
    ])
  })

  it('is asked for where there is none, one of several, or no file', async () => {
    writeFileSync(join(home, 'two.txt'), 'http://a\nhttp://b\n')
    writeFileSync(join(home, 'none.txt'), '\n')
    const cases: [string[], number, string][] = [
      [['get'], 2, 'SEALIFT_LINK'],
      [['rm'], 2, 'SEALIFT_LINK'],
      [['ls', '-'], 2, 'no link in standard input'],
      [['ls', `@${join(home, 'two.txt')}`], 2, '2 links'],
      [['ls', `@${join(home, 'none.txt')}`], 2, 'no link in the file'],
      [['ls', `@${join(home, 'absent.txt')}`], 1, 'does not exist'],
      [['rm', '-', '-'], 2, 'only once'],
    ]
    for (const [args, wanted, says] of cases) {
      const { code, stderr } = await run(args)
      expect([args, code]).toEqual([args, wanted])
      expect(stderr).toContain(says)
    }
  })

  it('does not reach the player', async () => {
    const link = await send()
    const program = join(home, 'player.sh')
    writeFileSync(program, '#!/bin/sh\nenv >&2\n', { mode: 0o755 })
    const { stderr } = await run(['play', '--open', program], { ...mine, SEALIFT_LINK: link, SEALIFT_TOKEN: TOKEN })
    expect(stderr).toContain('XDG_STATE_HOME')
    expect(stderr).not.toMatch(/SEALIFT_LINK|SEALIFT_TOKEN/)
  })
})
