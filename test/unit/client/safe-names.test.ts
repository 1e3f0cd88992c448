import * as fc from 'fast-check'
import { isAbsolute, join, relative, sep } from 'node:path'
import { describe, expect, test } from 'vitest'

import { assignPaths, numbered, safeSegments, shortened } from '../../../src/client/node/safe-names.ts'

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

describe('the path of an item', () => {
  test('stays inside the folder, whatever its name', () => {
    fc.assert(
      fc.property(hostileName, fc.constantFrom('linux', 'darwin', 'win32'), (name, platform) => {
        const segments = safeSegments(name, platform)
        expect(segments.length).toBeGreaterThan(0)
        const path = join('/inbox', ...segments)
        expect(relative('/inbox', path).startsWith(`..${sep}`)).toBe(false)
        expect(isAbsolute(relative('/inbox', path))).toBe(false)
        for (const segment of segments) {
          expect(segment).not.toMatch(/^\.{0,2}$/)
          expect(segment).not.toMatch(/[/\\\p{Cc}]/u)
          expect(bytesOf(segment)).toBeLessThanOrEqual(255)
          expect(segment.isWellFormed()).toBe(true)
        }
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['report.pdf', ['report.pdf']],
    ['a folder/with spaces/ü 👋.txt', ['a folder', 'with spaces', 'ü 👋.txt']],
    ['../../etc/passwd', ['etc', 'passwd']],
    ['/etc/passwd', ['etc', 'passwd']],
    ['a//b/./c', ['a', 'b', 'c']],
    ['C:\\Windows\\system.ini', ['Windows', 'system.ini']],
    ['\\\\host\\share\\x', ['host', 'share', 'x']],
    ['nul', ['_nul']],
    ['COM1.txt', ['_COM1.txt']],
    ['console.log', ['console.log']],
    ['..', ['unnamed']],
    ['\0\0', ['unnamed']],
    ['photo\u202egpj.exe', ['photogpj.exe']],
    ['.hidden', ['.hidden']],
  ])('of %j is %j', (name, expected) => {
    expect(safeSegments(name, 'linux')).toEqual(expected)
  })

  test('has nothing in it that Windows reads as something else, on Windows', () => {
    expect(safeSegments('what?.txt:stream', 'win32')).toEqual(['what_.txt_stream'])
    expect(safeSegments('trailing. . ', 'win32')).toEqual(['trailing'])
  })

  test('keeps the ending of a name that is too long, and cuts no character', () => {
    const [name = ''] = safeSegments(`${'👩‍👩‍👧'.repeat(40)}.jpeg`, 'linux')
    expect(bytesOf(name)).toBeLessThanOrEqual(255)
    expect(name.endsWith('👧.jpeg')).toBe(true)
    expect(bytesOf(safeSegments('x'.repeat(300), 'linux')[0] ?? '')).toBe(255)
  })

  test('is flat when the folders go too deep', () => {
    expect(safeSegments(`${'d/'.repeat(1000)}end.txt`, 'linux')).toEqual(['end.txt'])
  })
})

describe('the paths of a parcel', () => {
  test('are all different, also for file systems that take capitals for small letters', () => {
    expect(assignPaths(['a.txt', 'A.TXT', 'a.txt', 'é', 'e\u0301'], 'linux')).toEqual([
      ['a.txt'],
      ['A (2).TXT'],
      ['a (3).txt'],
      ['é'],
      ['e\u0301 (2)'],
    ])
  })

  test('never make a folder of a file, nor a file of a folder', () => {
    expect(assignPaths(['a', 'a/b', 'a/c', 'd/e', 'd'], 'linux')).toEqual([
      ['a'],
      ['a (2)', 'b'],
      ['a (2)', 'c'],
      ['d', 'e'],
      ['d (2)'],
    ])
  })

  test('are the same each time, and different for different items', () => {
    fc.assert(
      fc.property(fc.array(hostileName, { maxLength: 20 }), names => {
        const paths = assignPaths(names, 'linux')
        expect(assignPaths(names, 'linux')).toEqual(paths)
        const folded = paths.map(path => path.join('/').normalize('NFKC').toLowerCase())
        expect(new Set(folded).size).toBe(names.length)
        const folders = paths.flatMap(path => path.slice(0, -1).map((_, at) => path.slice(0, at + 1).join('/')))
        for (const path of paths) expect(folders).not.toContain(path.join('/'))
        for (const path of paths) for (const segment of path) expect(bytesOf(segment)).toBeLessThanOrEqual(255)
      }),
      { numRuns: 200 },
    )
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
