import { expect, test } from 'vitest'

import { differenceOf, type TrackFacts } from '../../../src/video/checks/package-facts.ts'
import { checkFilm } from '../../../src/video/remux/remuxer.ts'
import { box, fields, fragmentedFile } from '../../support/boxes.ts'
import { factsOf } from '../../support/packaged.ts'

const video: TrackFacts = { kind: 'video', samples: 150, isOrdered: true, startSeconds: 0.08, endSeconds: 6.08 }
const audio: TrackFacts = { kind: 'audio', samples: 283, isOrdered: true, startSeconds: 0.06, endSeconds: 6.1 }
const wanted = [
  { kind: 'video', samples: 150 },
  { kind: 'audio', samples: 283 },
] as const
const film = { tracks: wanted, seconds: 6 }

test('a film that holds what its file declares may take its place', () => {
  expect(differenceOf(film, [video, audio])).toBeNull()
  expect(differenceOf({ tracks: [{ kind: 'video', samples: null }], seconds: null }, [video])).toBeNull()
})

test.each<[name: string, packaged: readonly TrackFacts[], reason: string]>([
  ['fewer frames', [{ ...video, samples: 25 }, audio], 'Of its 150 video frames, 25 would play'],
  ['more frames', [video, { ...audio, samples: 284 }], 'Of its 283 audio frames, 284 would play'],
  ['no frames', [{ ...video, samples: 0 }, audio], 'Of its 150 video frames, 0 would play'],
  ['times that go back', [{ ...video, isOrdered: false }, audio], 'Times of its video frames contradict each other'],
  ['a track too few', [video], 'It has 2 tracks, not 1'],
  ['another kind of track', [audio, audio], 'Its video is missing from what would play'],
  [
    'less time',
    [
      { ...video, endSeconds: 4 },
      { ...audio, endSeconds: 4 },
    ],
    'Of its 6.0 s, 3.9 s would play',
  ],
  ['more time', [{ ...video, endSeconds: 9 }, audio], 'Of its 6.0 s, 8.9 s would play'],
])('a film of %s may not', (_name, packaged, reason) => {
  expect(differenceOf(film, packaged)).toBe(reason)
})

test('what a packaged file holds is read from its fragments alone', () => {
  const fragments = [
    { samples: 50, bytes: 100, large: false },
    { samples: 25, bytes: 100, large: true },
  ]
  const { bytes } = fragmentedFile(fragments)
  // Without decode times, the second fragment begins where the first one does.
  expect(factsOf(bytes)).toEqual([{ kind: 'video', samples: 75, isOrdered: false, startSeconds: 0, endSeconds: 2 }])
})

test('frames that an edit list leaves out are not missed', async () => {
  const source = { id: 1, samples: 200 }
  const declared = {
    tracks: [],
    endSeconds: null,
    isSplit: false,
    countSamples: () => Promise.resolve(new Map([[source.id, source.samples]])),
  }
  const copied = (trimmed: number) =>
    ({ tracks: [{ kind: 'video', track: { id: 1 }, cursor: { trimmed } }], facts: { tracks: [video] } }) as never
  await expect(checkFilm({ declared, originSeconds: 0 }, [copied(50)])).resolves.toBeUndefined()
  await expect(checkFilm({ declared, originSeconds: 0 }, [copied(49)])).rejects.toMatchObject({
    name: 'CannotPackage',
    message: 'Of its 151 video frames, 150 would play',
  })
})

test('a run of samples without times has those of its track', () => {
  const { bytes, head } = fragmentedFile([])
  const tfdt = box('tfdt', fields(8, { 4: 3000 }))
  const trun = box('trun', fields(8, { 4: 10 }))
  const traf = box('traf', box('tfhd', fields(8, { 4: 1 })), tfdt, trun)
  const moof = box('moof', box('mfhd', fields(8, {})), traf)
  const file = Buffer.concat([bytes.subarray(0, head), moof, box('mdat')])
  expect(factsOf(file)).toEqual([{ kind: 'video', samples: 10, isOrdered: true, startSeconds: 0.12, endSeconds: 0.52 }])
})
