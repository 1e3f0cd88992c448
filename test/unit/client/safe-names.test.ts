import * as fc from 'fast-check'
import { isAbsolute, join, relative, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

import { assignPaths, PathTree, numbered, safeName, shortened } from '../../../src/client/node/receive/safe-names.ts'

const bytesOf = (text: string): number => Buffer.byteLength(text)

/** Names as an attacker would write them: pieces that mean something to some system, in any order. */
const hostileName = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '..',
        '.',
        '/',
        '\\',
        'C:',
        '\0',
        '\n',
        '\u202e',
        'CON',
        'aux.txt',
        ' ',
        '~',
        '-rf',
        '👩‍👩‍👧',
        'é',
        'e\u0301',
      ),
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.string({ unit: 'grapheme', minLength: 200, maxLength: 300 }),
    ),
    { minLength: 1, maxLength: 12 },
  )
  .map(pieces => pieces.join(''))

const PLATFORMS = ['linux', 'darwin', 'win32'] as const
const segmentsOf = (name: string, platform: string): readonly string[] => safeName(name, { platform }).segments
const pathsOf = (names: readonly string[], platform = 'linux'): string[] =>
  assignPaths(names, { platform }).map(({ segments }) => segments.join('/'))

describe('the path of an item', () => {
  test('stays inside the folder, whatever its name', () => {
    fc.assert(
      fc.property(hostileName, fc.constantFrom(...PLATFORMS), fc.boolean(), (name, platform, hidden) => {
        const { segments, changes } = safeName(name, { platform, hidden })
        expect(segments.length).toBeGreaterThan(0)
        const path = join('/inbox', ...segments)
        expect(relative('/inbox', path).startsWith(`..${sep}`)).toBe(false)
        expect(isAbsolute(relative('/inbox', path))).toBe(false)
        for (const segment of segments) {
          expect(segment).not.toMatch(/^\.{0,2}$/)
          expect(segment).not.toMatch(/[/\p{Cc}]/u)
          expect(platform === 'win32' && /[<>:"|?*\\]|[. ]$/.test(segment)).toBe(false)
          const seen = segment.replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
          expect(!hidden && seen.startsWith('.')).toBe(false)
          expect(bytesOf(segment)).toBeLessThanOrEqual(255)
          expect(segment.isWellFormed()).toBe(true)
        }
        expect(changes.length > 0 || segments.join('/') === name.replace(/\/+$/, '')).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  // Name; then what it becomes on Linux, macOS and Windows, and why there. One value: the same on all of them.
  test.each([
    ['report.pdf', 'report.pdf', []],
    ['a folder/with spaces/ü 👋.txt', 'a folder/with spaces/ü 👋.txt', []],
    ['../../etc/passwd', 'etc/passwd', ['outside']],
    ['/etc/passwd', 'etc/passwd', ['outside']],
    ['a//b/./c', 'a/b/c', ['outside']],
    ['a/..', 'a/unnamed', ['outside']],
    ['..', 'unnamed', ['outside']],
    ['w/\0', 'w/unnamed', ['invisible', 'outside']],
    ['photo\u202egpj.exe', 'photogpj.exe', ['invisible']],
    ['bad\nname\u001b[2J', 'badname[2J', ['invisible']],
    ['lone \ud800', 'lone \ufffd', ['invisible']],
    ['console.log', 'console.log', []],
  ])('of %j is %j everywhere', (name, path, changes) => {
    for (const platform of PLATFORMS) {
      expect([platform, safeName(name, { platform })]).toEqual([platform, { segments: path.split('/'), changes }])
    }
  })

  test.each([
    ['w/ ', 'w/ ', 'w/unnamed', ['system', 'outside']],
    ['C: notes.txt', 'C: notes.txt', 'C_ notes.txt', ['system']],
    ['Con.Air.mkv', 'Con.Air.mkv', '_Con.Air.mkv', ['system']],
    ['nul', 'nul', '_nul', ['system']],
    ['COM1.txt', 'COM1.txt', '_COM1.txt', ['system']],
    ['aux .c', 'aux .c', '_aux .c', ['system']],
    ['conout$', 'conout$', '_conout$', ['system']],
    ['a\\b.txt', 'a\\b.txt', 'a_b.txt', ['system']],
    ['..\\..\\x', '_..\\..\\x', '_.._.._x', ['system', 'hidden']],
    ['C:\\Windows\\system.ini', 'C:\\Windows\\system.ini', 'C__Windows_system.ini', ['system']],
    ['what?.txt:stream', 'what?.txt:stream', 'what_.txt_stream', ['system']],
    ['trailing. . ', 'trailing. . ', 'trailing', ['system']],
    ['desktop.ini', 'desktop.ini', '_desktop.ini', ['hidden']],
    ['@prices.scf', '@prices.scf', '@prices.scf_', ['hidden']],
    ['a/Photos.Library-MS', 'a/Photos.Library-MS', 'a/Photos.Library-MS_', ['hidden']],
    ['.x.url', '_.x.url', '_.x.url_', ['hidden']],
    ['shop.url.txt', 'shop.url.txt', 'shop.url.txt', []],
  ])('of %j is kept where the system can hold it', (name, unix, windows, changes) => {
    expect(segmentsOf(name, 'linux').join('/')).toBe(unix)
    expect(segmentsOf(name, 'darwin').join('/')).toBe(unix)
    expect(safeName(name, { platform: 'win32' })).toEqual({ segments: windows.split('/'), changes })
  })

  test.each([
    ['.ssh/authorized_keys', '_.ssh/authorized_keys'],
    ['.zshenv', '_.zshenv'],
    ['a/.config/autostart/x.desktop', 'a/_.config/autostart/x.desktop'],
    ['...', '_...'],
    ['.\u200b.', 'unnamed'],
    ['\u200d.bashrc', '_\u200d.bashrc'],
    ['\u0007.bashrc', '_.bashrc'],
    ['x/../.bashrc', 'x/_.bashrc'],
  ])('of %j is not hidden', (name, path) => {
    expect(segmentsOf(name, 'linux').join('/')).toBe(path)
  })

  test('may be hidden where the receiver wants that', () => {
    const kept = safeName('.ssh/.keys', { platform: 'linux', hidden: true })
    expect(kept).toEqual({ segments: ['.ssh', '.keys'], changes: [] })
    expect(safeName('../.x', { platform: 'linux', hidden: true }).segments).toEqual(['.x'])
  })

  test('keeps the ending of a name that is too long, and cuts no character', () => {
    const { segments, changes } = safeName(`${'👩‍👩‍👧'.repeat(40)}.jpeg`, { platform: 'linux' })
    const [name = ''] = segments
    expect(bytesOf(name)).toBeLessThanOrEqual(255)
    expect(name.endsWith('👧.jpeg')).toBe(true)
    expect(changes).toEqual(['length'])
    expect(bytesOf(segmentsOf('x'.repeat(300), 'linux')[0] ?? '')).toBe(255)
  })

  test('is flat when the folders go too deep', () => {
    expect(safeName(`${'d/'.repeat(1000)}end.txt`, { platform: 'linux' })).toEqual({
      segments: ['end.txt'],
      changes: ['length'],
    })
  })
})

describe('the paths of a parcel', () => {
  test('are all different, also for file systems that take capitals for small letters', () => {
    expect(pathsOf(['a.txt', 'A.TXT', 'a.txt', 'é', 'e\u0301'])).toEqual([
      'a.txt',
      'A (2).TXT',
      'a (3).txt',
      'é',
      'e\u0301 (2)',
    ])
  })

  test('say that a name was taken', () => {
    expect(assignPaths(['a', '.a', 'a', '.a']).map(({ changes }) => changes)).toEqual([
      [],
      ['hidden'],
      ['taken'],
      ['hidden', 'taken'],
    ])
  })

  test('never make a folder of a file, nor a file of a folder', () => {
    expect(pathsOf(['a', 'a/b', 'a/c', 'd/e', 'd'])).toEqual(['a', 'a (2)/b', 'a (2)/c', 'd/e', 'd (2)'])
  })

  test('leave the numbers alone that other names have', () => {
    const paths = pathsOf(['a (2).txt', 'a.txt', 'a.txt', 'A (3).TXT', 'a.txt'])
    expect(paths).toEqual(['a (2).txt', 'a.txt', 'a (3).txt', 'A (3) (2).TXT', 'a (4).txt'])
  })

  test('are the same each time, and different for different items', () => {
    fc.assert(
      fc.property(fc.array(hostileName, { maxLength: 20 }), fc.constantFrom(...PLATFORMS), (names, platform) => {
        const paths = pathsOf(names, platform)
        expect(pathsOf(names, platform)).toEqual(paths)
        const folded = paths.map(path => path.normalize('NFKC').toLowerCase())
        expect(new Set(folded).size).toBe(names.length)
        const folders = paths.flatMap(path => {
          const segments = path.split('/')
          return segments.slice(0, -1).map((_, at) => segments.slice(0, at + 1).join('/'))
        })
        for (const path of paths) {
          expect(folders).not.toContain(path)
          for (const segment of path.split('/')) expect(bytesOf(segment)).toBeLessThanOrEqual(255)
        }
      }),
      { numRuns: 200 },
    )
  })
})

describe('equal names', () => {
  const COUNT = 20_000
  const each = (make: (index: number) => string): string[] => Array.from({ length: COUNT }, (_, index) => make(index))
  const family = '👩‍👩‍👧‍👦'
  const bits = (index: number): string =>
    Array.from({ length: 15 }, (_, bit) => ((index >> bit) & 1 ? 'A' : 'a')).join('')

  test.each([
    ['of one name', each(() => 'a.txt')],
    ['of one long name of emoji', each(() => `${family.repeat(30)}.jpg`)],
    ['that differ in what is cut off', each(index => `${'x'.repeat(249)}${index}.txt`)],
    // Twice each, so that all are numbered, and all of them get the same beginning.
    [
      'of which only the beginning stays',
      each(index => `${'x'.repeat(246)}${String(index >> 1).padStart(5, '0')}.txt`),
    ],
    ['that differ in case', each(bits)],
    ['that are equal once normalized', each(index => (index % 2 ? 'é.txt' : 'e\u0301.txt'))],
    ['of folders and files', each(index => (index % 2 ? 'a' : `a/${index}`))],
    ['beside names that hold the numbers', each(index => (index % 2 ? 'a.txt' : `a (${index / 2 + 2}).txt`))],
    ['in folders of one name', each(index => (index === 0 ? 'f' : `f/a.txt`))],
  ])('20,000 items %s cost a few look-ups each', (_, names) => {
    const tree = new PathTree()
    const paths = new Set(names.map(name => tree.add(safeName(name, { platform: 'linux' })).segments.join('/')))
    expect(paths.size).toBe(COUNT)
    expect(tree.lookups).toBeLessThan(COUNT * 5)
  })
})

test('a number goes before the ending', () => {
  expect(numbered('a.tar.gz', 2)).toBe('a.tar (2).gz')
  expect(numbered('.bashrc', 3)).toBe('.bashrc (3)')
  expect(numbered('a', 1)).toBe('a')
  expect(bytesOf(numbered('ä'.repeat(127), 12))).toBeLessThanOrEqual(255)
})

test('a text is cut between characters', () => {
  expect(shortened('ab👩‍👩‍👧', 10)).toBe('ab')
  expect(shortened('abc', 3)).toBe('abc')
})
