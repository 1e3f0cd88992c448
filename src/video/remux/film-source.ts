import { CustomSource } from 'mediabunny'

import { readDeclared, transportTimeBytes } from '../checks/read-declared.ts'
import type { DeclaredFilm } from '../checks/declared.ts'
import { release } from '../../client/bytes/release-memory.ts'
import type { RandomSource } from '../../client/api/source.ts'
import { CannotPackage } from '../packager.ts'
import { BlockCache } from './block-cache.ts'
import { OpeningLimit } from './opening.ts'

/** What a header may make us hold in one piece; the index of a film of ten hours has some 15 MB. */
const MAX_READ_BYTES = 64 * 1024 * 1024

/** The demuxer's view of a film, and what went wrong below it. */
export interface FilmSource {
  readonly source: CustomSource
  readonly sizeBytes: number
  /** Why reading ended, if it did; the demuxer may have made another error of it. */
  readonly failure: () => { readonly cause: unknown } | null
  /** What the file says of itself; `null`: nothing that can be read. */
  readonly readDeclared: () => Promise<DeclaredFilm | null>
  /** Whether the demuxer has no cache, so that each of its reads is a buffer of its own. */
  readonly keepsNothing: boolean
  /** Bounds what is read until it is lifted. */
  readonly limit: OpeningLimit
}

/** Reads by blocks: a demuxer asks for a few bytes here and a frame there, out of two or three places that move on. */
export async function filmSource(film: RandomSource, signal: AbortSignal): Promise<FilmSource> {
  let failure: { readonly cause: unknown } | null = null
  const fail = (cause: unknown): never => {
    failure ??= { cause: signal.aborted ? signal.reason : cause }
    throw failure.cause
  }
  const blocks = new BlockCache(film, signal)
  const isTransportStream = await looksLikeTransportStream(film, blocks)
  const lend = lender()
  const limit = new OpeningLimit()
  const read = async (start: number, end: number) => {
    limit.count(end - start)
    if (end - start > MAX_READ_BYTES) throw new CannotPackage('It is damaged, or its index is too large')
    const bytes = new Uint8Array(end - start)
    await blocks.readInto(bytes, start)
    return bytes
  }
  const source = new CustomSource({
    getSize: () => film.sizeBytes,
    read: async (start, end) => {
      const bytes = await read(start, end).catch(fail)
      return isTransportStream ? bytes : lend(bytes)
    },
    handleUnhandledError: () => undefined,
    ...(isTransportStream ? KEPT_BY_DEMUXER : { maxCacheSize: 0 }),
  })
  const declaring: RandomSource = {
    sizeBytes: film.sizeBytes,
    // Fragments that are counted later on lie all over the file: nothing near them is read as well.
    read: (start, end) => (limit.isLifted ? film.read(start, end, signal) : read(start, end)),
  }
  return {
    source,
    sizeBytes: film.sizeBytes,
    readDeclared: () => readDeclared(declaring, signal).catch(fail),
    failure: () => failure,
    keepsNothing: !isTransportStream,
    limit,
  }
}

/** For packets of 188 bytes, each read on its own; else each would become an entry that all further reads go through. */
const KEPT_BY_DEMUXER = { maxCacheSize: 2 * 1024 * 1024, prefetchProfile: 'fileSystem' } as const

/** A demuxer that keeps nothing has copied what it was given before anything but promises runs. */
function lender(): (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> {
  const lent: Uint8Array<ArrayBuffer>[] = []
  const takeBack = () => lent.splice(0).forEach(release)
  return bytes => {
    if (lent.push(bytes) === 1) setTimeout(takeBack)
    return bytes
  }
}

async function looksLikeTransportStream(film: RandomSource, blocks: BlockCache): Promise<boolean> {
  const start = new Uint8Array(Math.min(film.sizeBytes, 400))
  if (start.byteLength > 0) await blocks.readInto(start, 0)
  return transportTimeBytes(start) !== undefined
}
