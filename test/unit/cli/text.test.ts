import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { columnsOf, fit, printable, safeJson, shorten, table } from '../../../src/cli/terminal/text.ts'

const anyText = fc.string({ unit: 'binary' })

describe('printable', () => {
  it('keeps ordinary names in every script as they are', () => {
    for (const name of ['photo.jpg', 'Ärger über Öl.txt', '写真.png', '👨‍👩‍👧.mp4', 'مرحبا.pdf'])
      expect(printable(name)).toBe(name)
  })

  it.each([
    ['an escape sequence', '\u001b]0;owned\u0007.txt'],
    ['a carriage return that overwrites the line', 'bad\rgood'],
    ['a line break', 'one\ntwo'],
    ['an eight-bit control sequence', '\u009b2Jx'],
    ['a direction override that hides the real extension', 'photo\u202egpj.exe'],
    ['an isolate', '\u2066x\u2069'],
    ['a lone surrogate', 'x\ud800y'],
    ['a line separator', 'a\u2028b'],
  ])('makes %s harmless', (_, name) => {
    expect(printable(name)).toMatch(/^[\x20-\x7e�]+$/)
  })

  it('never lets a control character through, whatever the name', () => {
    fc.assert(
      fc.property(anyText, name => {
        expect(printable(name)).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u)
      }),
    )
  })
})

describe('columnsOf', () => {
  it.each([
    ['abc', 3],
    ['é', 1],
    ['é', 1],
    ['日本', 4],
    ['👍', 2],
    ['👨‍👩‍👧', 2],
    ['🇨🇭', 2],
    ['❤️', 2],
    ['', 0],
  ])('%s takes %i', (text, columns) => {
    expect(columnsOf(text)).toBe(columns)
  })
})

describe('shorten and fit', () => {
  it('keep both ends, so that an extension stays visible', () => {
    expect(shorten('a-very-long-holiday-video.mp4', 14)).toBe('a-very-lo….mp4')
  })

  it('leave a text alone that fits', () => {
    expect(shorten('short.txt', 9)).toBe('short.txt')
  })

  it('never cut a wide character in half, and never exceed the room', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 0, max: 60 }), (text, columns) => {
        expect(columnsOf(shorten(printable(text), columns))).toBeLessThanOrEqual(columns)
      }),
    )
  })

  it('fill exactly the room, in any script', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 60 }), (text, columns) => {
        expect(columnsOf(fit(printable(text), columns))).toBe(columns)
      }),
    )
  })

  it('align numbers on the right', () => {
    expect(fit('7', 3, 'right')).toBe('  7')
  })
})

describe('table', () => {
  it('aligns columns by what they take on the screen', () => {
    expect(
      table(
        [
          ['1 B', '日本', 'x'],
          ['100 B', 'a', 'y'],
        ],
        [0],
      ),
    ).toEqual(['  1 B  日本  x', '100 B  a     y'])
  })
})

describe('safeJson', () => {
  it('escapes what a terminal may obey, and means the same', () => {
    const value = { name: 'a\u009b2J\u202e\u001bé日' }
    expect(safeJson(value)).not.toMatch(/[\p{Cc}\u202a-\u202e]/u)
    expect(JSON.parse(safeJson(value))).toEqual(value)
  })
})
