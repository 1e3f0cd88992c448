/** A film in another layout than the file it was made of, ready to be sent instead of it. */
import type { SendItem, TrackProgress } from '../../src/client/index.ts'
import type { BegunFilm, OutgoingFilm } from '../../src/client/api/outgoing-film.ts'
import { nodeSuite } from '../../src/sealing/node-suite.ts'
import { originalMaker } from '../../src/video/index.ts'
import { concat } from './concat.ts'
import { fragmentedFilm } from './fragmented-film.ts'
import { sourceOf } from './originals.ts'
import { content } from './sdk.ts'

const KIB = 1024

type ByteStream = ReadableStream<Uint8Array<ArrayBuffer>>

export interface FilmAndFile {
  readonly film: Uint8Array<ArrayBuffer>
  readonly original: Uint8Array<ArrayBuffer>
}

/** The film has the samples in another order than the file, which holds other bytes too. */
export function filmAndFile(count: number): FilmAndFile {
  const samples = Array.from({ length: count }, (_, place) => content(`sample ${place}`, 20 * KIB + place * 300))
  return {
    film: fragmentedFilm([
      { samples: samples.filter((_, place) => place % 3 !== 1) },
      { samples: samples.filter((_, place) => place % 3 === 1) },
    ]),
    original: concat(samples.flatMap((sample, place) => [content(`header ${place}`, 7 + (place % 5)), sample])),
  }
}

export interface OutgoingOptions {
  /** Passes on the list of runs, or what becomes of it. */
  readonly runs?: (runs: ByteStream) => ByteStream
  readonly isUnfit?: (error: unknown) => boolean
  /** What beginning waits for. */
  readonly when?: Promise<void>
}

/** @param film its bytes, as they are made */
export function outgoingOriginal(
  film: ByteStream,
  original: Uint8Array<ArrayBuffer>,
  { runs: passed = runs => runs, isUnfit, when }: OutgoingOptions = {},
): SendItem {
  const begin = async (signal: AbortSignal): Promise<BegunFilm> => {
    await when
    const { bytes, runs } = originalMaker(nodeSuite).watch(film, sourceOf(original), signal)
    return {
      own: { bytes, way: 'test-1' },
      film: {
        tracks: [passed(runs)],
        describe: own => description(own),
        original: { bytes: original.byteLength, runs: 0 },
      },
      ...(isUnfit && { isUnfit }),
    }
  }
  return { name: 'film.mp4', type: 'video/mp4', source: original, film: { begin } }
}

function description({ media, readableBytes }: TrackProgress): ReturnType<OutgoingFilm['describe']> {
  if (!media || readableBytes < 1000) return null
  const segment = [1000, readableBytes - 1000, 4] as [number, number, number]
  return {
    state: media.state,
    renditions: [{ codecs: 'avc1.640028', bandwidth: 1, init: [0, 1000], segments: [segment] }],
  }
}
