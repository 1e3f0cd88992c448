import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { CannotPackage, createRemuxer } from '../../../src/video/index.ts'
import { withEdits, type EditedTracks, type TestEdit } from '../../support/edit-lists.ts'
import { films, frameHashes } from '../../support/films.ts'
import type { Films } from '../../support/films.ts'
import { copied, packaged } from '../../support/packaged.ts'

const BASE = { seconds: 6, gopFrames: 25, options: ['-movflags', '+faststart'] } as const
const OPEN_GOPS = 'open-gop=1:bframes=3:b-adapt=0:scenecut=0'

let home: Films
let made = 0

beforeAll(async () => {
  home = await films()
})

afterAll(() => home[Symbol.asyncDispose]())

const edited = async (edits: readonly TestEdit[], tracks?: EditedTracks, base: object = BASE): Promise<string> =>
  withEdits(await home.make(base), join(home.folder, `edited-${made++}.mp4`), edits, tracks)

const shown = (path: string) => frameHashes(path, '0:v', 'decoded')

test.each<[name: string, edits: readonly TestEdit[], frames: number]>([
  ['all of it', [{ from: 0, seconds: 6 }], 150],
  ['all of it, by a duration of 0', [{ from: 0, seconds: 0 }], 150],
  ['from one key frame to another', [{ from: 2, seconds: 3 }], 75],
  ['up to a key frame', [{ from: 0, seconds: 3 }], 75],
  ['from a key frame on', [{ from: 4, seconds: 2 }], 50],
  [
    'two parts without a gap',
    [
      { from: 1, seconds: 1 },
      { from: 2, seconds: 2 },
    ],
    75,
  ],
  [
    'a part after a delay',
    [
      { from: null, seconds: 1.5 },
      { from: 2, seconds: 3 },
    ],
    75,
  ],
  [
    'a part and nothing behind it',
    [
      { from: 1, seconds: 2 },
      { from: null, seconds: 1 },
    ],
    50,
  ],
])('an edit list that shows %s: a film of these frames and no others', async (_name, edits, frames) => {
  const path = await edited(edits)
  const { out, facts } = await copied(path, home.folder)
  const played = await shown(out)
  expect(played).toHaveLength(frames)
  expect(played).toEqual((await shown(await home.make(BASE))).slice(...rangeOf(edits)))
  const [video, audio] = facts
  expect(facts.every(({ isOrdered }) => isOrdered)).toBe(true)
  // Audio is cut between its own frames, each of 21 ms, and begins with what its encoder put before it.
  const seconds = (audio?.endSeconds ?? 0) - (audio?.startSeconds ?? 0)
  expect(Math.abs(seconds - frames / 25)).toBeLessThan(0.08)
  expect(Math.abs((audio?.startSeconds ?? 0) - (video?.startSeconds ?? 0))).toBeLessThan(0.05)
})

test.each<[name: string, edits: readonly TestEdit[], reason: RegExp]>([
  ['begins between key frames', [{ from: 2.2, seconds: 3 }], /trimmed by its edit list/],
  ['begins one frame behind a key frame', [{ from: 2.04, seconds: 2 }], /trimmed by its edit list/],
  [
    'shows two parts',
    [
      { from: 0, seconds: 1 },
      { from: 4, seconds: 2 },
    ],
    /several parts/,
  ],
  [
    'shows a part twice',
    [
      { from: 1, seconds: 1 },
      { from: 1, seconds: 1 },
    ],
    /several parts/,
  ],
  [
    'has a pause',
    [
      { from: 0, seconds: 1 },
      { from: null, seconds: 1 },
      { from: 1, seconds: 1 },
    ],
    /several parts/,
  ],
  ['plays faster', [{ from: 0, seconds: 3, rate: 2 }], /own speed/],
  ['shows one frame', [{ from: 0, seconds: 3, rate: 0 }], /own speed/],
  ['shows nothing', [{ from: null, seconds: 3 }], /never shown/],
])('an edit list that %s: no film, with the reason', async (_name, edits, reason) => {
  const path = await edited(edits)
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject({
    name: 'CannotPackage',
    message: expect.stringMatching(reason),
  })
})

test('wherever an edit list cuts, no frame plays that was trimmed off', async () => {
  const whole = await shown(await home.make(BASE))
  let refused = 0
  for (let frame = 1; frame < 30; frame += 1) {
    const path = await edited([{ from: 1, seconds: 2 + frame / 25 }])
    try {
      const { out } = await copied(path, home.folder)
      expect(await shown(out)).toEqual(whole.slice(25, 75 + frame))
    } catch (error) {
      // A frame that is left out may be needed by others.
      if (!(error instanceof CannotPackage) || !error.message.includes('edit list')) throw error
      refused += 1
    }
  }
  expect(refused).toBeGreaterThan(0)
  expect(refused).toBeLessThan(29)
})

test.each<[name: string, open: object]>([
  ['H.264', { video: 'libx264', options: [...BASE.options, '-x264-params', OPEN_GOPS] }],
  ['H.265', { video: 'libx265', options: [...BASE.options, '-x265-params', `log-level=none:${OPEN_GOPS}`] }],
])('%s, cut before a key frame that trimmed frames lead to: no film', async (_name, openGop) => {
  const base = { ...BASE, gopFrames: 24, size: '160x120', audio: [], ...openGop } as const
  const whole = await shown(await home.make(base))
  // Frame 24 is a key frame, and three frames before it are decoded after it.
  for (const frame of [21, 22, 23]) {
    const path = await edited([{ from: frame / 25, seconds: 0 }], 'all', base)
    await expect(packaged(createRemuxer(), path)).rejects.toThrow(/trimmed by its edit list/)
  }
  const { out } = await copied(await edited([{ from: 24 / 25, seconds: 0 }], 'all', base), home.folder)
  expect(await shown(out)).toEqual(whole.slice(24))
})

test('a delay of one track is kept', async () => {
  const path = await edited(
    [
      { from: null, seconds: 1 },
      { from: 0, seconds: 5 },
    ],
    'soun',
  )
  const [video, audio] = (await copied(path, home.folder)).facts
  expect((audio?.startSeconds ?? 0) - (video?.startSeconds ?? 0)).toBeCloseTo(1, 1)
})

test('audio that is trimmed alone begins where it is heard', async () => {
  const path = await edited([{ from: 2, seconds: 4 }], 'soun')
  const [video, audio] = (await copied(path, home.folder)).facts
  expect(video?.samples).toBe(150)
  expect((audio?.endSeconds ?? 0) - (audio?.startSeconds ?? 0)).toBeCloseTo(4, 1)
  expect(Math.abs((audio?.startSeconds ?? 0) - (video?.startSeconds ?? 0))).toBeLessThan(0.05)
})

test('where every frame is a key frame, any cut is a film', async () => {
  const base = { ...BASE, gopFrames: 1 }
  const { out } = await copied(await edited([{ from: 2.2, seconds: 1.4 }], 'all', base), home.folder)
  expect(await shown(out)).toEqual((await shown(await home.make(base))).slice(55, 90))
})

function rangeOf(edits: readonly TestEdit[]): [from: number, to: number] {
  const parts = edits.filter(({ from }) => from !== null)
  const from = (parts[0]?.from ?? 0) * 25
  const seconds = parts.reduce((sum, each) => sum + (each.seconds === 0 ? 6 : each.seconds), 0)
  return [from, from + seconds * 25]
}
