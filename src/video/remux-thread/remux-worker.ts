/** The far side of `remux-thread.ts`: packages one film and gives out its tracks, chunk by chunk as they are asked for. */
import { parentPort } from 'node:worker_threads'

import { knownFileSource } from '../../client/node/files/file-source.ts'
import type { PackagedFilm, PackagedTrack } from '../packager.ts'
import { createRemuxer } from '../remux/remuxer.ts'
import { sentError } from './thread-messages.ts'
import type { FilmFacts, LayoutNews, ThreadCall, ThreadNews, ThreadTask, TrackFacts } from './thread-messages.ts'

const ALIVE_EVERY_MS = 1000

const stop = new AbortController()
setInterval(() => tell({ kind: 'alive' }), ALIVE_EVERY_MS).unref()
let tracks: readonly TrackReader[] = []
parentPort?.on('message', (call: ThreadCall) => {
  if ('task' in call)
    packageFile(call.task).catch((error: unknown) => tell({ kind: 'failed', error: sentError(error) }))
  else if ('pull' in call) void tracks[call.pull]?.giveNext()
  else stop.abort()
})

async function packageFile({ file, leavesAudio }: ThreadTask): Promise<void> {
  const onProgress = (seconds: number): void => tell({ kind: 'progress', seconds })
  const source = knownFileSource(file)
  const options = { signal: stop.signal, leavesAudio, onProgress }
  const film = await createRemuxer().package({ source, path: file.path }, options)
  tracks = [...film.renditions, ...film.audio].map((track, index) => new TrackReader(track, index))
  tell({ kind: 'film', film: factsOf(film) })
}

class TrackReader {
  readonly #track: PackagedTrack
  readonly #index: number
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>
  #told = 0

  constructor(track: PackagedTrack, index: number) {
    this.#track = track
    this.#index = index
    this.#reader = track.bytes.getReader()
  }

  async giveNext(): Promise<void> {
    try {
      const { done, value } = await this.#reader.read()
      if (done) tell({ kind: 'end', ...this.#news() })
      else tell({ kind: 'chunk', ...this.#news(), bytes: value }, [value.buffer])
    } catch (error) {
      tell({ kind: 'failed', error: sentError(error) })
    }
  }

  /** Segments that end before the chunk which goes with it: what is told of has been given out. */
  #news(): LayoutNews {
    const { init, segments } = this.#track.layout
    const fresh = segments.slice(this.#told)
    this.#told += fresh.length
    return { track: this.#index, init, segments: fresh }
  }
}

function factsOf({ seconds, renditions, audio, notes, keepsSamples, uncopied }: PackagedFilm): FilmFacts {
  return {
    seconds,
    notes,
    renditions: renditions.map(trackFacts),
    audio: audio.map(trackFacts),
    ...(keepsSamples !== undefined && { keepsSamples }),
    ...(uncopied && { uncopied }),
  }
}

function trackFacts(track: PackagedTrack): TrackFacts {
  const { bytes: _bytes, layout: _layout, ...facts } = track
  return facts
}

function tell(news: ThreadNews, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(news, transfer)
}
