import { createHash } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'

import { runCli } from '../../../src/cli/program.ts'
import { selectorOf } from '../../../src/cli/commands/get.ts'
import { parallelism, ttlSecondsOf, wholeNumber } from '../../../src/cli/option-values.ts'
import { fakeIo, type FakeIo } from './fake-io.ts'

const COMMANDS = ['serve', 'send', 'get', 'ls', 'forward', 'rm', 'config', 'doctor', 'fsck']

async function run(...args: string[]): Promise<{ code: number; io: FakeIo }> {
  const io = fakeIo()
  return { code: await runCli(args, io), io }
}

function configFile(text: string): string {
  const file = join(mkdtempSync(join(tmpdir(), 'sealift-config-')), 'sealift.yaml')
  writeFileSync(file, text)
  return file
}

describe('help', () => {
  it('lists every command and responds 0', async () => {
    const { code, io } = await run('--help')
    expect(code).toBe(0)
    for (const command of COMMANDS) expect(io.out()).toMatch(new RegExp(`^  ${command}\\b`, 'm'))
    expect(io.err()).toBe('')
  })

  it.each([...COMMANDS, 'config check', 'config print', 'config token'])('explains %s', async command => {
    const { code, io } = await run(...command.split(' '), '--help')
    expect(code).toBe(0)
    expect(io.out()).toContain(`Usage: sealift ${command}`)
    expect(io.out().length).toBeGreaterThan(200)
  })

  it('prints the version of the package', async () => {
    const { code, io } = await run('--version')
    expect(code).toBe(0)
    expect(io.out()).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('wrong usage', () => {
  it.each([
    ['no command', []],
    ['an unknown command', ['sned', 'x']],
    ['an unknown option', ['send', '--fast', 'x']],
    ['nothing to send', ['send']],
    ['a time without a unit', ['send', '--ttl', '7', 'x']],
    ['a parallelism out of range', ['send', '--parallel', '0', 'x']],
    ['a port that is none', ['serve', '--port', '70000']],
    ['no subject', ['config', 'token']],
    ['stdin twice', ['send', '-', '-']],
    ['a name without stdin', ['send', '--name', 'x', 'file']],
    ['two uses of stdout', ['get', '--stdout', '--json', `http://127.0.0.1:1/p/${'a'.repeat(26)}#${'A'.repeat(43)}`]],
  ])('%s responses 2 and does nothing', async (_, args) => {
    const { code, io } = await run(...args)
    expect(code).toBe(2)
    expect(io.err()).not.toBe('')
    expect(io.out()).toBe('')
  })

  it('suggests the command that was meant', async () => {
    expect((await run('sned', 'x')).io.err()).toContain('send')
  })

  it('a link that is none is refused without repeating it', async () => {
    const { code, io } = await run('get', 'http://127.0.0.1/p/secret-thing#secret-key')
    expect(code).toBe(1)
    expect(io.err()).toContain('This is not a Sealift link')
    expect(io.err()).not.toContain('secret')
  })
})

describe('values of options', () => {
  it.each([
    ['90s', 90],
    ['12h', 43_200],
    ['7d', 604_800],
    ['4w', 2_419_200],
  ])('reads %s', (text, seconds) => expect(ttlSecondsOf(text)).toBe(seconds))

  it.each(['', '7', '0s', '1h30m', '-1d', '100ms', '99999w', 'NaN'])('refuses the time "%s"', text => {
    expect(() => ttlSecondsOf(text)).toThrow(/duration with a unit/)
  })

  it.each(['', '1.5', '-1', '1e3', '65', 'x'])('refuses the number "%s"', text => {
    expect(() => wholeNumber(1, 64)(text)).toThrow(/whole number from 1 to 64/)
  })

  it('one at a time means one, for small files too', () => {
    expect(parallelism(1)).toEqual({ parallel: 1, parallelSmall: 1 })
    expect(parallelism(64)).toEqual({ parallel: 64, parallelSmall: 128 })
    expect(parallelism(undefined)).toEqual({})
  })
})

describe('--only', () => {
  it.each([
    ['*.jpg', 'holiday/a.jpg', true],
    ['*.jpg', 'a.png', false],
    ['holiday/**', 'holiday/deep/a.jpg', true],
    ['holiday/*', 'holiday/deep/a.jpg', false],
    ['odd [name].txt', 'odd [name].txt', true],
  ])('%s with %s: %s', (pattern, name, expected) => {
    expect(selectorOf([pattern])({ name })).toBe(expected)
  })
})

describe('config', () => {
  it('check finds nothing wrong with the defaults', async () => {
    const { code, io } = await run('config', 'check')
    expect(code).toBe(0)
    expect(io.out()).toBe('The configuration is valid.\n')
  })

  it('check reports every mistake at once, with its position, and no value', async () => {
    const file = configFile('listen:\n  port: hunter2\ntiers:\n  default:\n    queu: 3\n')
    const { code, io } = await run('config', 'check', file)
    expect(code).toBe(1)
    expect(io.err()).toContain(`listen.port (${file}:2)`)
    expect(io.err()).toContain('did you mean queue')
    expect(io.err()).not.toContain('hunter2')
  })

  it('check --json prints one object, valid or not', async () => {
    const wrong = await run('config', 'check', '--json', configFile('listen: {port: x}'))
    expect(wrong.code).toBe(1)
    expect(JSON.parse(wrong.io.out())).toMatchObject({ ok: false, problems: [{ key: 'listen.port' }] })
    expect(JSON.parse((await run('config', 'check', '--json')).io.out())).toEqual({
      ok: true,
      problems: [],
      warnings: [],
    })
  })

  it('a file that is not there is a plain message', async () => {
    const { code, io } = await run('config', 'check', '/nowhere/sealift.yaml')
    expect(code).toBe(1)
    expect(io.err()).toContain('cannot be read')
    expect(io.err()).not.toContain('    at ')
  })

  it('token, check and print fit together, and print hides the hash', async () => {
    const made = await run('config', 'token', '--subject', 'alice', '--tier', 'default', '--json')
    const { token, entry } = JSON.parse(made.io.out()) as { token: string; entry: { sha256: string } }
    expect(entry).toMatchObject({ subject: 'alice', tier: 'default' })
    expect(entry.sha256).toBe(createHash('sha256').update(token).digest('hex'))

    const file = configFile(JSON.stringify({ access: { tokens: [entry] } }))
    expect((await run('config', 'check', file)).code).toBe(0)
    const printed = await run('config', 'print', file)
    expect(printed.code).toBe(0)
    expect(printed.io.out()).not.toContain(entry.sha256)
    expect(parse(printed.io.out())).toMatchObject({ listen: { port: 7325 } })
  })

  it('token prints the token and an entry that can be pasted', async () => {
    const { io } = await run('config', 'token', '--subject', 'bob')
    const [token = '', ...rest] = io.out().split('\n')
    expect(token).toMatch(/^sealift_[\w-]{43}$/)
    const file = configFile(rest.join('\n'))
    expect((await run('config', 'check', file)).code).toBe(0)
    expect(rest.join('\n')).not.toContain(token)
  })

  it('token refuses a name that the configuration would refuse', async () => {
    expect((await run('config', 'token', '--subject', 'two words')).code).toBe(2)
  })
})
