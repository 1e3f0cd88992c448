import { MP4, MPEG_TS } from 'mediabunny'
import type { InputVideoTrack } from 'mediabunny'
import { expect, test } from 'vitest'

import { keepsSamples } from '../../../src/video/remux/open-film.ts'

const withLengths = { codec: 'avc.1', description: new Uint8Array(8) }
const withStartCodes = { codec: 'avc.1' }

const input = (format = MP4, video: InputVideoTrack | null = null) => ({
  getFormat: () => Promise.resolve(format),
  getPrimaryVideoTrack: () => Promise.resolve(video),
})

test('samples with lengths are in the film as they are in the file', async () => {
  expect(await keepsSamples(input(), { codec: 'avc', config: withLengths })).toBe(true)
  expect(await keepsSamples(input(), { codec: 'hevc', config: withLengths })).toBe(true)
  expect(await keepsSamples(input(), { codec: 'vp9', config: withStartCodes })).toBe(true)
})

test('samples with start codes are not, nor those that lie cut up', async () => {
  expect(await keepsSamples(input(), { codec: 'avc', config: withStartCodes })).toBe(false)
  expect(await keepsSamples(input(), { codec: 'hevc', config: withStartCodes })).toBe(false)
  expect(await keepsSamples(input(MPEG_TS), { codec: 'vp9', config: withLengths })).toBe(false)
})

test('sound alone is, unless there were pictures', async () => {
  const pictures = {} as InputVideoTrack
  expect(await keepsSamples(input(), null)).toBe(true)
  expect(await keepsSamples(input(MP4, pictures), null)).toBe(false)
})
