import type { BigIntStats } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'

import { SealiftError } from '../../protocol/errors.ts'
import { throwIfAborted } from '../abort.ts'
import type { RandomSource } from '../source.ts'
import { localError } from './local-error.ts'

/** A file changed this shortly before it was looked at may change again without its times telling. */
const CLOCK_GRAIN_MS = 100

/** What tells one state of a file from another. As decimal text, for a journal. */
export interface FileStamp {
  readonly size: number
  readonly mtimeNs: string
  readonly ctimeNs: string
  readonly ino: string
  readonly dev: string
  /** False when the file had changed so shortly before that its times prove nothing. */
  readonly settled: boolean
}

/** A file as it was when it was first looked at; reading it in another state fails with `file_changed`. */
export interface FileSource extends RandomSource {
  readonly path: string
  readonly stamp: FileStamp
  checkUnchanged(): Promise<void>
}

/** @throws local_file when there is no such file, or it is no regular one */
export async function fileSource(path: string): Promise<FileSource> {
  const stamp = await look(path)
  return {
    path,
    stamp,
    sizeBytes: stamp.size,
    read: async (start, end, signal) => {
      const bytes = Buffer.allocUnsafeSlow(end - start)
      await readInto({ path, stamp }, { target: bytes, start }, signal)
      return bytes
    },
    readInto: (target, start, signal) => readInto({ path, stamp }, { target, start }, signal),
    checkUnchanged: async () => assertSame(stamp, await look(path)),
  }
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

async function look(path: string): Promise<FileStamp> {
  try {
    const found = await stat(path, { bigint: true })
    if (!found.isFile()) throw new SealiftError('local_file', 'Only regular files can be sent', { context: { path } })
    return stampOf(found, Date.now())
  } catch (error) {
    throw localError('A file cannot be read', path, error)
  }
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

async function readInto(
  { path, stamp }: { path: string; stamp: FileStamp },
  piece: { target: Uint8Array<ArrayBuffer>; start: number },
  signal: AbortSignal,
): Promise<void> {
  throwIfAborted(signal)
  try {
    await using handle = await open(path, 'r')
    // The path may name another file by now.
    assertSame(stamp, stampOf(await handle.stat({ bigint: true }), Date.now()))
    await fill(handle, piece)
  } catch (error) {
    throw localError('A file cannot be read', path, error)
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
