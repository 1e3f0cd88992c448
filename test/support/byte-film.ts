/** A film that no player could show, of bytes that tell where they belong: for tests of how tracks are given out. */
import type { FilmDescription, FilmMaker, TrackProgress } from '../../src/client/index.ts'
import type { Source } from '../../src/client/index.ts'
import { content } from './sdk.ts'

const INIT_BYTES = 1000
const SEGMENT_BYTES = 700_000

/** As `content`, but what it begins with is the box of an MP4. */
export function trackContent(seed: string, length: number): Uint8Array<ArrayBuffer> {
  const bytes = content(seed, length)
  bytes.set([0, 0, 0, 24, 0x66, 0x74, 0x79, 0x70])
  return bytes
}

/** @param bytes of the track; `source` gives the same */
export function byteFilm(bytes: Uint8Array<ArrayBuffer>, source: Source = bytes): FilmMaker {
  const film = {
    tracks: [source],
    describe: (_: unknown, [track]: readonly TrackProgress[]) =>
      track ? describeBytes(track, bytes.byteLength) : null,
  }
  return { begin: () => Promise.resolve({ film }) }
}

function describeBytes({ media, readableBytes }: TrackProgress, total: number): FilmDescription | null {
  if (!media) return null
  const segments: [number, number, number][] = []
  for (let at = INIT_BYTES; at < total; at += SEGMENT_BYTES) {
    const length = Math.min(SEGMENT_BYTES, total - at)
    if (at + length <= readableBytes) segments.push([at, length, 4])
  }
  return {
    state: media.state,
    renditions: [{ media, codecs: 'avc1.640028', bandwidth: 1_400_000, init: [0, INIT_BYTES], segments }],
  }
}
