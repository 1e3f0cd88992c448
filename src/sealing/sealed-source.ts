import { collect } from './byte-source.ts'
import type { ReadSealed } from './byte-source.ts'
import { HEADER_BYTES } from './constants.ts'
import { damaged } from './sealing-error.ts'
import { plainLength, sealedChunkCount, sealedRangeOfChunk } from './layout.ts'
import { createOpener } from './opener.ts'
import type { Opener, OpeningKey } from './opener.ts'

/** Where sealed bytes come from. */
export interface SealedSource {
  readonly read: ReadSealed
  readonly signal?: AbortSignal | undefined
}

/**
 * An opener for a media that is read by ranges: fetches its header alone.
 * @throws {SealingError} as `createOpener`
 */
export async function readOpener(options: OpeningKey & SealedSource): Promise<Opener> {
  const signal = options.signal ?? new AbortController().signal
  const header = await collect(await options.read(0, HEADER_BYTES, signal), HEADER_BYTES, signal)
  return createOpener({ ...options, header })
}

/**
 * The plaintext length of a media whose sealed length somebody only claims (a server, a file system): believed once
 * the last chunk, fetched alone, has been authenticated as the last at that place. Padding counts as plaintext.
 * @throws {SealingError} `damaged` when the media does not end there
 */
export async function provePlainLength(
  options: SealedSource & { readonly opener: Opener; readonly sealedBytes: number },
): Promise<number> {
  const { opener, sealedBytes } = options
  const { chunkBytes } = opener
  const signal = options.signal ?? new AbortController().signal
  const lastChunk = sealedChunkCount(sealedBytes, chunkBytes) - 1
  const { start, end } = sealedRangeOfChunk(lastChunk, sealedBytes, chunkBytes)
  const sealed = await collect(await options.read(start, end, signal), end - start, signal)
  if (sealed.byteLength !== end - start) throw damaged()
  await opener.openChunk(lastChunk, sealed, true)
  return plainLength(sealedBytes, chunkBytes)
}
