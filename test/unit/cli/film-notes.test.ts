import { expect, test } from 'vitest'

import { FilmNotes } from '../../../src/cli/send/send-films.ts'

test('packaging progress is reported every ten seconds, for each film separately', () => {
  const said: string[] = []
  let nowMs = 0
  const notes = new FilmNotes({ say: line => said.push(line), now: () => nowMs })
  const at = (ms: number, name: string, seconds: number, total: number | null): void => {
    nowMs = ms
    notes.packaged(name, seconds, total)
  }
  at(0, 'a.mkv', 1, 60.2)
  at(9999, 'a.mkv', 5, 60.2)
  at(10_000, 'b.mkv', 3, null)
  at(10_001, 'a.mkv', 6.7, 60.2)
  at(20_000, 'b.mkv', 8, null)
  at(20_001, 'a.mkv', 9, 60.2)
  expect(said).toEqual([
    '"a.mkv": 6 of 61 s of film are packaged.',
    '"b.mkv": 8 s of film are packaged.',
    '"a.mkv": 9 of 61 s of film are packaged.',
  ])
})
