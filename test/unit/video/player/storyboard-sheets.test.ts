import { expect, test } from 'vitest'

import type { FilmDescription } from '../../../../src/client/index.ts'
import { tileAt } from '../../../../src/video/player/storyboard-sheets.ts'

/** Two sheets of 3 × 2 pictures, one every ten seconds. */
const film = {
  state: 'complete',
  renditions: [],
  storyboard: { everySeconds: 10, columns: 3, rows: 2, tileWidth: 160, tileHeight: 90, sheets: [[], []] },
} as unknown as FilmDescription

test.each([
  [0, { sheet: 0, x: 0, y: 0 }],
  [9.99, { sheet: 0, x: 0, y: 0 }],
  [10, { sheet: 0, x: 160, y: 0 }],
  [35, { sheet: 0, x: 0, y: 90 }],
  [59, { sheet: 0, x: 320, y: 90 }],
  [60, { sheet: 1, x: 0, y: 0 }],
  [120, null],
  [-1, null],
  [Number.NaN, null],
])('the picture of %d s', (seconds, place) => {
  expect(tileAt(film, seconds)).toEqual(place)
})

test('after the last picture comes the last picture', () => {
  expect(tileAt({ ...film, seconds: 65 }, 69)).toEqual({ sheet: 1, x: 0, y: 0 })
  expect(tileAt({ ...film, seconds: 65 }, 75)).toEqual({ sheet: 1, x: 0, y: 0 })
})

test('a film without a storyboard has no pictures', () => {
  expect(tileAt({ state: 'complete', renditions: [] }, 0)).toBeNull()
})
