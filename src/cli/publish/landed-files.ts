import { watch } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

import type { FileItem } from '../../client/node/index.ts'
import { realPath } from '../../client/node/files/held-folder.ts'
import { findFiles, withType } from '../../client/node/files/list-files.ts'
import { PassedOver, type PassedOverReason } from './passed-over.ts'

/** A file without changes for `settleMs`. */
export interface LandedFile {
  readonly item: FileItem
  /** Identifies one state of the file. */
  readonly state: string
}

export interface LandingOptions {
  /** How long a file must stay as it is to be taken for whole. */
  readonly settleMs: number
  /** Goes on looking until the signal aborts; otherwise ends when all that is there has landed. */
  readonly watch: boolean
  readonly signal: AbortSignal
  /** Told once of everything that is there and is not published. */
  readonly onPassedOver: (path: string, reason: PassedOverReason) => void
  /** Told once of every file whose name is not UTF-8, and is published in a readable form. */
  readonly onRenamed: (name: string) => void
}

/** Shortest time between two listings of a folder, however small `settleMs` is. */
const MIN_LOOK_MS = 100

/** Hidden files, and names that programs give to what they have not finished writing. */
const UNFINISHED = /(^|\/)\.|\.(part|partial|tmp|temp|crdownload|download|filepart)$|~$/i

/**
 * The files of a folder, each once for each state without changes for `settleMs`. What is still being written, or was
 * renamed away, is waited for. Lists the folder again when the system reports a change, and at least every `settleMs`
 * (100 ms at least).
 * @throws local_file when the folder cannot be read at the beginning
 */
export async function* landedFiles(folder: string, options: LandingOptions): AsyncGenerator<LandedFile, void> {
  const { settleMs, signal } = options
  const seen = new Map<string, { state: string; since: number; given: boolean }>()
  using changes = new Changes(folder, options.watch)
  const passedOver = new PassedOver(options)
  for (let first = true; !signal.aborted; first = false) {
    const items = await list(folder, { first, signal, passedOver })
    const present = new Set(items.map(({ path }) => path))
    for (const path of seen.keys()) if (!present.has(path)) seen.delete(path)
    for (const item of items) {
      const state = await stateOf(item)
      if (state === null) continue
      const before = seen.get(item.path)
      const isSame = before?.state === state
      const now = performance.now()
      const entry = isSame ? before : { state, since: now, given: false }
      seen.set(item.path, entry)
      if (entry.given || now - entry.since < settleMs) continue
      entry.given = true
      yield { item: await withType(item), state }
    }
    if (!options.watch && Array.from(seen.values()).every(({ given }) => given)) return
    await changes.wait(Math.max(MIN_LOOK_MS, settleMs), signal)
  }
}

interface Look {
  readonly first: boolean
  readonly signal: AbortSignal
  readonly passedOver: PassedOver
}

async function list(folder: string, { first, signal, passedOver }: Look): Promise<FileItem[]> {
  passedOver.begin()
  try {
    const items = await findFiles([folder], {
      signal,
      onLeftOut: path => passedOver.add(path, 'special'),
      onRenamed: ({ name }) => passedOver.renamed(name),
    })
    const finished = items.filter(({ name, path }) => {
      const isUnfinished = UNFINISHED.test(name.slice(name.indexOf('/') + 1))
      if (isUnfinished) passedOver.add(path, 'unfinished')
      return !isUnfinished
    })
    passedOver.end()
    return finished
  } catch (error) {
    // A folder that is being tidied changes while it is listed.
    if (first || signal.aborted) throw error
    passedOver.unreadable(error)
    return []
  }
}

/** `null` when it is not there any more, or another one is: the next look lists that. */
async function stateOf(item: FileItem): Promise<string | null> {
  const { listed } = item
  try {
    const { size, mtimeNs, ino } = await lstat(realPath(item), { bigint: true })
    return listed && listed.identity.ino !== String(ino) ? null : `${size}-${mtimeNs}-${ino}`
  } catch {
    return null
  }
}

/** Resolves when something changes in a folder. A hint: not every system reports changes, or all of them. */
class Changes implements Disposable {
  #wake: () => void = () => undefined
  readonly #watcher: ReturnType<typeof watch> | null

  constructor(folder: string, wanted: boolean) {
    this.#watcher = wanted ? watchQuietly(folder, () => this.#wake()) : null
  }

  async wait(ms: number, signal: AbortSignal): Promise<void> {
    using woken = new Waking(signal)
    this.#wake = () => woken.wake()
    await sleep(ms, undefined, { signal: woken.signal }).catch(() => undefined)
    // Changes come in heaps.
    if (!signal.aborted) await sleep(Math.min(50, ms), undefined, { signal }).catch(() => undefined)
  }

  [Symbol.dispose](): void {
    this.#watcher?.close()
  }
}

class Waking implements Disposable {
  readonly #stop = new AbortController()
  readonly signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.signal = AbortSignal.any([signal, this.#stop.signal])
  }

  wake(): void {
    this.#stop.abort()
  }

  [Symbol.dispose](): void {
    this.#stop.abort()
  }
}

function watchQuietly(folder: string, changed: () => void): ReturnType<typeof watch> | null {
  try {
    return watch(folder, { recursive: true, persistent: false }, changed).on('error', () => undefined)
  } catch {
    return null
  }
}
