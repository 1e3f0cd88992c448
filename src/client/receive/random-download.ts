import type { LimitFunction } from 'p-limit'

import type { DownloadResume, RandomSink } from '../api/source-and-sink.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { missingRuns, plainOfRun, RUN_BYTES } from './chunk-runs.ts'
import type { ChunkRun, MediaReader } from './media-reader.ts'

/** Writes in flight of one run. */
const WRITES_AHEAD = 4

export interface RandomDownload {
  readonly item: MediaReader
  readonly sink: RandomSink
  readonly resume: Pick<DownloadResume, 'finished' | 'onFinished'> | undefined
  /** Shared by all large downloads of a client. Items of one request are limited by `ItemLanes`. */
  readonly ranges: LimitFunction
  /** Ranges of this item at once. */
  readonly parallel: number
  readonly moved: (bytes: number) => void
}

/** Downloads what is missing of an item, its runs in parallel, into a sink that takes them in any order. */
export async function downloadAtRandom(download: RandomDownload, signal: AbortSignal): Promise<void> {
  const { item, resume, ranges, parallel } = download
  const runs = missingRuns(item, resume?.finished ?? [])
  const group = new TaskGroup(signal)
  const isSmall = item.chunks * item.chunkBytes <= RUN_BYTES
  for (let worker = 0; worker < (isSmall ? 1 : parallel); worker += 1) {
    group.spawn(async inner => {
      for (let next = runs.next(); next.done !== true; next = runs.next()) {
        const run = next.value
        await (isSmall ? downloadRun(download, run, inner) : ranges(() => downloadRun(download, run, inner)))
      }
    })
  }
  await group.join()
}

async function downloadRun(download: RandomDownload, run: ChunkRun, signal: AbortSignal): Promise<void> {
  const { item, sink, resume, moved } = download
  const { start } = plainOfRun(item, run)
  const writes = new Writes(sink)
  let end = start
  try {
    await item.read(
      run,
      async (bytes, at) => {
        // The sink may keep the bytes, and detach them.
        const length = bytes.byteLength
        await writes.add(bytes, at)
        end = at + length
        moved(length)
      },
      signal,
    )
  } finally {
    // Bytes that arrived before the connection broke count too, when the sink has them.
    await writes.all()
    // The end of the download reports the only run of a small item.
    if (end > start && end - start < item.bytes) await resume?.onFinished({ start, end })
  }
}

/** A few writes at a time. */
class Writes {
  readonly #sink: RandomSink
  readonly #running: Promise<void>[] = []

  constructor(sink: RandomSink) {
    this.#sink = sink
  }

  async add(bytes: Uint8Array<ArrayBuffer>, at: number): Promise<void> {
    if (bytes.byteLength === 0) return
    const write = this.#sink.write(bytes, at)
    // Its rejection is met below; until then it must not count as unhandled.
    write.catch(() => undefined)
    this.#running.push(write)
    if (this.#running.length >= WRITES_AHEAD) await this.#running.shift()
  }

  async all(): Promise<void> {
    await Promise.all(this.#running)
  }
}
