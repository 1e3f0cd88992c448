import type { BigIntStats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import { SealiftError } from '../../../protocol/errors.ts'
import { throwIfAborted } from '../../concurrency/abort.ts'
import type { RandomSource } from '../../api/source-and-sink.ts'
import { openListed, READ_ONLY, realPath } from './held-folder.ts'
import type { ListedFile } from './held-folder.ts'
import { localError } from './local-error.ts'

/** A file that changed this shortly before its stamp was read may change again without a change of its times. */
const CLOCK_GRAIN_MS = 100
const STREAM_BYTES = 64 * 1024

/** Identifies one state of a file. As decimal text, for a journal. */
export interface FileStamp {
  readonly size: number
  readonly mtimeNs: string
  readonly ctimeNs: string
  readonly ino: string
  readonly dev: string
  /** False when the file changed too shortly before for its times to prove anything. */
  readonly settled: boolean
}

/** A file as it was when its stamp was read; reading it in another state fails with `file_changed`. */
export interface FileSource extends RandomSource {
  readonly path: string
  readonly stamp: FileStamp
  /** As given. */
  readonly listed?: ListedFile
  /**
   * False when the file holds more or fewer bytes than it says, as those of `/proc` do: it can only be read as a
   * stream, to its end.
   */
  readonly sizeIsTrue: boolean
  /** The same file in the same state, for reading; the caller closes it. @throws file_changed, local_file */
  openFile(): Promise<FileHandle>
  checkUnchanged(): Promise<void>
}

/**
 * @param listed the file that must be at the path, from `listFiles`
 * @throws local_file when there is no such file, or it is no regular one; file_changed when it is not the listed one
 */
export async function fileSource(path: string, listed?: ListedFile): Promise<FileSource> {
  const { stamp, sizeIsTrue } = await look({ path, listed })
  return knownFileSource({ path, stamp, sizeIsTrue, ...(listed && { listed }) })
}

/** What a source is made of. Plain data: it can be sent to a thread. */
export type KnownFile = Pick<FileSource, 'path' | 'stamp' | 'listed' | 'sizeIsTrue'>

/** A source of a file whose stamp is known. */
export function knownFileSource(known: KnownFile): FileSource {
  const { path, stamp } = known
  return {
    ...known,
    sizeBytes: stamp.size,
    read: async (start, end, signal) => {
      const bytes = Buffer.allocUnsafeSlow(end - start)
      await readInto(known, { target: bytes, start }, signal)
      return bytes
    },
    readInto: (target, start, signal) => readInto(known, { target, start }, signal),
    openFile: () => openSame(known),
    checkUnchanged: async () => {
      const found = await stat(realPath(known), { bigint: true }).catch((error: unknown) => {
        throw localError('A file cannot be read', path, error)
      })
      assertSame(stamp, stampOf(found, Date.now()))
    },
  }
}

/** All bytes of a file, to its end, whatever size it says. One file is read from beginning to end. */
export function fileStream(source: FileSource): ReadableStream<Uint8Array<ArrayBuffer>> {
  let handle: FileHandle | null = null
  const close = async (): Promise<void> => {
    await handle?.close()
    handle = null
  }
  return new ReadableStream({
    pull: async controller => {
      try {
        handle ??= await openForReading(source)
        const { bytesRead, buffer } = await handle.read(new Uint8Array(STREAM_BYTES), 0, STREAM_BYTES, null)
        if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead))
        await close()
        controller.close()
      } catch (error) {
        await close()
        throw localError('A file cannot be read', source.path, error)
      }
    },
    cancel: close,
  })
}

export function sameStamp(left: FileStamp, right: FileStamp): boolean {
  return (
    left.size === right.size &&
    left.mtimeNs === right.mtimeNs &&
    left.ctimeNs === right.ctimeNs &&
    left.ino === right.ino &&
    left.dev === right.dev
  )
}

/** The path of a file, and the file that must be there if it was listed. */
export type WhereFile = Pick<FileSource, 'path'> & { readonly listed?: ListedFile | undefined }

async function look(where: WhereFile): Promise<{ stamp: FileStamp; sizeIsTrue: boolean }> {
  const { path, listed } = where
  try {
    // Opening a device may already do something to it.
    if (!listed && !(await stat(path)).isFile()) throw notRegular(path)
    await using handle = await openForReading(where)
    const found = await handle.stat({ bigint: true })
    if (!found.isFile()) throw notRegular(path)
    return { stamp: stampOf(found, Date.now()), sizeIsTrue: await holdsWhatItSays(handle, Number(found.size)) }
  } catch (error) {
    throw localError('A file cannot be read', path, error)
  }
}

function notRegular(path: string): SealiftError {
  return new SealiftError('local_file', 'Only regular files can be sent', { context: { path } })
}

/** For reading; the caller closes it. @throws file_changed; the system's error */
export function openForReading({ path, listed }: WhereFile): Promise<FileHandle> {
  return listed ? openListed(listed) : open(path, READ_ONLY)
}

/** The last byte is there, and none behind it. */
async function holdsWhatItSays(handle: FileHandle, size: number): Promise<boolean> {
  const { bytesRead } = await handle.read(new Uint8Array(2), 0, 2, Math.max(0, size - 1))
  if (bytesRead === Math.min(size, 1)) return true
  // A file that is being written has another size already, which its stamp shows.
  return Number((await handle.stat({ bigint: true })).size) !== size
}

function stampOf(found: BigIntStats, now: number): FileStamp {
  const changedMs = Math.max(Number(found.mtimeNs), Number(found.ctimeNs)) / 1e6
  return {
    size: Number(found.size),
    mtimeNs: String(found.mtimeNs),
    ctimeNs: String(found.ctimeNs),
    ino: String(found.ino),
    dev: String(found.dev),
    settled: now - changedMs > CLOCK_GRAIN_MS,
  }
}

function assertSame(before: FileStamp, now: FileStamp): void {
  if (!sameStamp(before, now)) throw new SealiftError('file_changed', 'A file changed while it was being sent')
}

/** The path may name another file since the stamp was read. */
async function openSame({ path, stamp, listed }: KnownFile): Promise<FileHandle> {
  try {
    const handle = await openForReading({ path, listed })
    try {
      assertSame(stamp, stampOf(await handle.stat({ bigint: true }), Date.now()))
      return handle
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw localError('A file cannot be read', path, error)
  }
}

async function readInto(
  known: KnownFile,
  piece: { target: Uint8Array<ArrayBuffer>; start: number },
  signal: AbortSignal,
): Promise<void> {
  throwIfAborted(signal)
  await using handle = await openSame(known)
  try {
    await fill(handle, piece)
  } catch (error) {
    throw localError('A file cannot be read', known.path, error)
  }
}

async function fill(
  handle: FileHandle,
  { target, start }: { target: Uint8Array<ArrayBuffer>; start: number },
): Promise<void> {
  for (let filled = 0; filled < target.byteLength;) {
    const { bytesRead } = await handle.read(target, filled, target.byteLength - filled, start + filled)
    if (bytesRead === 0) throw new SealiftError('file_changed', 'A file became shorter while it was being sent')
    filled += bytesRead
  }
}
