/** The worker of `remux-thread.ts`: packages one film and posts its tracks, one chunk for each pull. */
import { parentPort } from 'node:worker_threads'

import { knownFileSource } from '../../client/node/files/file-source.ts'
import type { PackagedFilm, PackagedTrack } from '../packager.ts'
import { createRemuxer } from '../remux/remuxer.ts'
import { sentError } from './thread-messages.ts'
import type { LayoutUpdate, PostedFilm, PostedTrack, ThreadCall, ThreadMessage, ThreadTask } from './thread-messages.ts'

const ALIVE_EVERY_MS = 1000

const stop = new AbortController()
setInterval(() => post({ kind: 'alive' }), ALIVE_EVERY_MS).unref()
let tracks: readonly TrackReader[] = []
parentPort?.on('message', (call: ThreadCall) => {
  if ('task' in call)
    packageFile(call.task).catch((error: unknown) => post({ kind: 'failed', error: sentError(error) }))
  else if ('pull' in call) void tracks[call.pull]?.postNext()
  else stop.abort()
})

async function packageFile({ file, leavesAudio }: ThreadTask): Promise<void> {
  const onProgress = (seconds: number): void => post({ kind: 'progress', seconds })
  const source = knownFileSource(file)
  const options = { signal: stop.signal, leavesAudio, onProgress }
  const film = await createRemuxer().package({ source, path: file.path }, options)
  tracks = [...film.renditions, ...film.audio].map((track, index) => new TrackReader(track, index))
  post({ kind: 'film', film: withoutStreams(film) })
}

class TrackReader {
  readonly #track: PackagedTrack
  readonly #index: number
  readonly #reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>
  #posted = 0

  constructor(track: PackagedTrack, index: number) {
    this.#track = track
    this.#index = index
    this.#reader = track.bytes.getReader()
  }

  async postNext(): Promise<void> {
    try {
      const { done, value } = await this.#reader.read()
      if (done) post({ kind: 'end', ...this.#layoutUpdate() })
      else post({ kind: 'chunk', ...this.#layoutUpdate(), bytes: value }, [value.buffer])
    } catch (error) {
      post({ kind: 'failed', error: sentError(error) })
    }
  }

  /** Lists only segments that end before the chunk which it is posted with. */
  #layoutUpdate(): LayoutUpdate {
    const { init, segments } = this.#track.layout
    const fresh = segments.slice(this.#posted)
    this.#posted += fresh.length
    return { track: this.#index, init, segments: fresh }
  }
}

function withoutStreams({ seconds, renditions, audio, notes, keepsSamples, uncopied }: PackagedFilm): PostedFilm {
  return {
    seconds,
    notes,
    renditions: renditions.map(withoutStream),
    audio: audio.map(withoutStream),
    ...(keepsSamples !== undefined && { keepsSamples }),
    ...(uncopied && { uncopied }),
  }
}

function withoutStream(track: PackagedTrack): PostedTrack {
  const { bytes: _bytes, layout: _layout, ...facts } = track
  return facts
}

function post(message: ThreadMessage, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer)
}
