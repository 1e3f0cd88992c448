import type { RandomSource } from '../../client/api/source.ts'
import { boxHeader, type BoxHeader } from '../original/boxes.ts'

/** Read at once: a header, and often all of a `moof`. */
const WINDOW_BYTES = 4096
const HEADER_BYTES = 16
/** A `moov` or `moof` above this is refused by the demuxer as well. */
const MAX_BODY_BYTES = 64 * 1024 * 1024

export interface FileBox extends BoxHeader {
  readonly startsAt: number
  /** What is in it; `null` when it is cut off or too large to be held. */
  readonly body: () => Promise<DataView | null>
}

/** The boxes of a file from front to back, no more than `most` of them. Ends early at nonsense. */
export async function* boxesOfFile(
  source: RandomSource,
  { from = 0, most, signal }: { readonly from?: number; readonly most: number; readonly signal: AbortSignal },
): AsyncGenerator<FileBox, void> {
  let [windowAt, window] = [0, new Uint8Array(0)]
  const bytes = async (start: number, end: number): Promise<Uint8Array> => {
    if (start < windowAt || end > windowAt + window.byteLength) {
      const last = Math.min(source.sizeBytes, Math.max(end, start + WINDOW_BYTES))
      ;[windowAt, window] = [start, await source.read(start, last, signal)]
    }
    return window.subarray(start - windowAt, end - windowAt)
  }
  let at = from
  for (let count = 0; count < most && at + 8 <= source.sizeBytes; count++) {
    const header = boxHeader(viewOf(await bytes(at, Math.min(source.sizeBytes, at + HEADER_BYTES))), 0)
    const end = header.bytes === null ? source.sizeBytes : at + header.bytes
    if (end < at + header.headerBytes) return
    const [startsAt, bodyAt] = [at, at + header.headerBytes]
    const isHeld = end <= source.sizeBytes && end - bodyAt <= MAX_BODY_BYTES
    yield { ...header, startsAt, body: async () => (isHeld ? viewOf(await bytes(bodyAt, end)) : null) }
    at = end
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
