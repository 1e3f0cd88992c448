import { stripVTControlCharacters } from 'node:util'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import {
  progressFrame as frameOf,
  progressSentence,
  type FrameStyle,
} from '../../../src/cli/terminal/progress-frame.ts'
import { createProgressView } from '../../../src/cli/terminal/progress-view.ts'
import { columnsOf } from '../../../src/cli/terminal/text.ts'
import { styled } from '../../../src/cli/terminal/writer.ts'
import type { ItemProgress, Progress } from '../../../src/client/progress.ts'
import { FakeTerminal } from './fake-io.ts'

const MiB = 2 ** 20

const item = (over: Partial<ItemProgress> = {}): ItemProgress => ({
  index: 0,
  name: 'film.mp4',
  bytes: 4 * MiB,
  totalBytes: 8 * MiB,
  ...over,
})

const progress = (over: Partial<Progress> = {}): Progress => ({
  bytes: 5 * MiB,
  totalBytes: 20 * MiB,
  itemsDone: 1,
  items: 3,
  bytesPerSecond: 2 * MiB,
  secondsLeft: 7.5,
  active: [item()],
  ...over,
})

const progressFrame = (shown: Progress, how: FrameStyle): string[] => frameOf(shown, how).map(styled)

const style = (over: Partial<FrameStyle> = {}): FrameStyle => ({
  columns: 100,
  rows: 30,
  colour: false,
  unicode: true,
  verb: 'sending',
  ...over,
})

describe('progressFrame', () => {
  it('shows a bar for each moving item and a total with rate and time left', () => {
    const [bar, total] = progressFrame(progress(), style())
    expect(bar).toMatch(/^ {2}film\.mp4 +━{10,20}─{10,20} +50% +4 MiB of 8 MiB$/)
    expect(total).toBe('sending 1/3 items  25%  5 MiB of 20 MiB  2 MiB/s  8s left')
  })

  it('says neither share nor time left while a length is unknown', () => {
    const unknown = { totalBytes: null, secondsLeft: null }
    const [bar, total] = progressFrame(progress({ ...unknown, active: [item(unknown)] }), style())
    expect(bar).not.toContain('%')
    expect(bar).toContain('4 MiB')
    expect(total).toBe('sending 1/3 items  5 MiB  2 MiB/s')
  })

  it('reaches 100% only when all of it is there, also for an empty item', () => {
    const almost = item({ bytes: 8 * MiB - 1 })
    const empty = item({ bytes: 0, totalBytes: 0 })
    const [first, second] = progressFrame(progress({ active: [almost, empty] }), style())
    expect(first).toContain(' 99% ')
    expect(second).toContain('100% ')
  })

  it('shows at most eight bars, fewer on a low terminal, and counts the others', () => {
    const active = Array.from({ length: 20 }, (_, index) => item({ index }))
    const tall = progressFrame(progress({ active }), style())
    expect(tall).toHaveLength(10)
    expect(tall[8]).toContain('and 12 more')
    expect(progressFrame(progress({ active }), style({ rows: 6 })).length).toBeLessThan(6)
    expect(progressFrame(progress({ active }), style({ rows: 1 }))).toHaveLength(1)
  })

  it('never exceeds the width, with wide names, for any terminal', () => {
    const active = ['日本語のとても長いファイル名です.mp4', '👨‍👩‍👧 family 👍.jpg', 'x'.repeat(255)].map(name =>
      item({ name }),
    )
    for (let columns = 1; columns <= 200; columns += 1) {
      for (const line of progressFrame(progress({ active }), style({ columns, colour: true })))
        expect(columnsOf(stripVTControlCharacters(line)), `at ${columns}`).toBeLessThanOrEqual(Math.max(1, columns - 1))
    }
  })

  it('gives every bar the same start and end, whatever script its name is in', () => {
    const active = ['日本.mp4', 'a.jpg', '👍👍👍.png'].map(name => item({ name }))
    const starts = progressFrame(progress({ active }), style())
      .slice(0, 3)
      .map(line => columnsOf(line.slice(0, line.indexOf('━'))))
    expect(new Set(starts).size).toBe(1)
  })

  it('does not let a name speak to the terminal', () => {
    const evil = item({ name: '\u001b[2J\u001b]0;owned\u0007\r\nx\u202e' })
    const frame = progressFrame(progress({ active: [evil] }), style()).join('')
    expect(frame).not.toMatch(/[\p{Cc}\u202e]/u)
  })

  it('uses ASCII alone where nothing else can be shown, and colours only where they are wanted', () => {
    expect(progressFrame(progress(), style({ unicode: false })).join('')).toMatch(/^[\x20-\x7e]+$/)
    expect(progressFrame(progress(), style()).join('')).not.toContain('\u001b')
    expect(progressFrame(progress(), style({ colour: true })).join('')).toContain('\u001b[36m')
  })
})

describe('progressSentence', () => {
  it('shows everything in one line', () => {
    expect(progressSentence(progress(), 'sending')).toBe(
      'sending: 1 of 3 items, 5 MiB of 20 MiB (25%), 2 MiB/s, 8s left',
    )
  })
})

describe('a progress view', () => {
  beforeEach(() => vi.useFakeTimers())
  afterEach(() => vi.useRealTimers())

  function view(stream: FakeTerminal | { isTTY?: boolean; write(text: string): unknown }, over = {}) {
    const options = { stream, verb: 'sending', quiet: false, unicode: true, now: () => Date.now(), ...over }
    return createProgressView(options, 'xterm-256color')
  }

  it('redraws in place, and leaves nothing behind', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    using bars = view(terminal)
    bars.update(progress({ active: [item(), item({ index: 1, name: 'b.jpg' })] }))
    expect(terminal.screen()).toHaveLength(3)
    vi.advanceTimersByTime(100)
    bars.update(progress({ bytes: 6 * MiB, active: [item({ name: 'c.png' })] }))
    expect(terminal.screen().map(line => line.trim().split(/\s+/)[0])).toEqual(['c.png', 'sending'])
    bars[Symbol.dispose]()
    expect(terminal.screen()).toEqual([''])
  })

  it('draws at most a dozen times a second, and the last state in the end', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    using bars = view(terminal)
    for (let bytes = 0; bytes <= 1000; bytes += 1) {
      bars.update(progress({ bytes: bytes * 1000 }))
      vi.advanceTimersByTime(1)
    }
    expect(terminal.writes.length).toBeLessThan(15)
    vi.advanceTimersByTime(100)
    expect(terminal.screen().at(-1)).toContain('976.6 KiB of 20 MiB')
  })

  it('keeps a note above the bars', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    using bars = view(terminal)
    bars.update(progress())
    bars.note('something happened')
    expect(terminal.screen()[0]).toBe('something happened')
    expect(terminal.screen()).toHaveLength(3)
  })

  it('counts down to the next try below the bars, until bytes move again', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    using bars = view(terminal)
    bars.update(progress())
    bars.trouble({ what: 'connection lost', waitMs: 2500 })
    expect(terminal.screen().at(-1)).toBe('connection lost, trying again in 3 s')
    vi.advanceTimersByTime(1000)
    expect(terminal.screen().at(-1)).toBe('connection lost, trying again in 2 s')
    vi.advanceTimersByTime(2000)
    expect(terminal.screen().at(-1)).toBe('connection lost, trying again now')
    bars.update(progress())
    vi.advanceTimersByTime(100)
    expect(terminal.screen()).toHaveLength(3)
    bars.update(progress({ bytes: 6 * MiB }))
    vi.advanceTimersByTime(100)
    expect(terminal.screen()).toHaveLength(2)
    bars[Symbol.dispose]()
    expect(vi.getTimerCount()).toBe(0)
  })

  it('reports trouble in a sentence, not too often, where there is no terminal', () => {
    const lines: string[] = []
    using sentences = view({ write: text => lines.push(text) })
    for (let second = 0; second < 8; second += 1) {
      sentences.trouble({ what: 'connection lost', waitMs: 500 })
      vi.advanceTimersByTime(1000)
    }
    expect(lines).toEqual(Array(2).fill('sending: connection lost, trying again in 1 s\n'))
  })

  it('follows the width of the terminal as it changes', () => {
    const terminal = new FakeTerminal({ columns: 100, rows: 24 })
    using bars = view(terminal)
    bars.update(progress())
    terminal.columns = 40
    vi.advanceTimersByTime(100)
    bars.update(progress())
    for (const line of terminal.screen()) expect(columnsOf(line)).toBeLessThan(40)
  })

  it('writes a line every few seconds where there is no terminal', () => {
    const lines: string[] = []
    using sentences = view({ write: text => lines.push(text) })
    for (let second = 0; second < 12; second += 1) {
      sentences.update(progress())
      vi.advanceTimersByTime(1000)
    }
    expect(lines).toHaveLength(2)
    for (const line of lines) expect(line).toMatch(/^\P{Cc}+\n$/u)
  })

  it('treats a dumb terminal as none', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    const options = { stream: terminal, verb: 'sending', quiet: false, unicode: true, now: () => Date.now() }
    using sentences = createProgressView(options, 'dumb')
    sentences.update(progress())
    expect(terminal.writes).toEqual([])
  })

  it('says nothing when it is to be quiet', () => {
    const terminal = new FakeTerminal({ columns: 80, rows: 24 })
    using silent = view(terminal, { quiet: true })
    silent.update(progress())
    vi.advanceTimersByTime(10_000)
    expect(terminal.writes).toEqual([])
  })
})
