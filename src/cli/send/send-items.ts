/** From the paths of a command line to everything there is to send: all of it, or an error that names what is wrong. */
import { constants, createReadStream, fstatSync } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'

import { listFiles, SealiftError, type FileItem, type SendItem } from '../../client/node/index.ts'
import { realPath } from '../../client/node/files/held-folder.ts'
import type { CliIo } from '../cli-io.ts'
import { explain } from '../error-text.ts'
import { UsageError } from '../exit-codes.ts'
import { printable } from '../terminal/text.ts'
import { typedStream, type NamedStream } from '../typed-stream.ts'

/** The path that stands for standard input. */
export const STDIN = '-'
const SHOWN_PROBLEMS = 20

export interface ItemsToSend {
  /** In the order they were named. */
  readonly items: readonly (FileItem | SendItem)[]
  /** Paths of symbolic links and special files inside folders. */
  readonly leftOut: readonly string[]
  /** Names that stand for names which are not UTF-8. */
  readonly renamed: readonly string[]
}

/**
 * All or nothing: unreadable files are reported together.
 * @param stdinName the name of what comes from standard input
 * @throws UsageError when there is no file at all; local_file
 */
export async function itemsToSend(io: CliIo, paths: readonly string[], stdinName: string): Promise<ItemsToSend> {
  const items: (FileItem | NamedStream)[] = []
  const leftOut: string[] = []
  const renamed: string[] = []
  const problems: string[] = []
  const note = (error: unknown): void => void problems.push(explain(error).message)
  for (const path of paths) {
    if (path === STDIN) items.push({ name: stdinName, source: readStdin(io) })
    else if (await isPipe(path)) problems.push(pipeAdvice(path))
    else items.push(...(await filesAt(path, { io, leftOut, renamed, note })))
  }
  io.signal.throwIfAborted()
  if (problems.length > 0) throw notAllReadable(problems)
  if (items.length === 0) throw new UsageError('There is no file in what was named; nothing was sent.')
  const typed: (FileItem | SendItem)[] = []
  for (const item of items) typed.push('path' in item ? item : await typedStream(item, io.signal))
  return { items: typed, leftOut, renamed }
}

interface Notes {
  readonly io: CliIo
  readonly leftOut: string[]
  readonly renamed: string[]
  readonly note: (error: unknown) => void
}

async function filesAt(path: string, { io, leftOut, renamed, note }: Notes): Promise<FileItem[]> {
  try {
    const files = await listFiles([path], {
      signal: io.signal,
      onLeftOut: found => leftOut.push(found),
      onRenamed: item => renamed.push(item.name),
    })
    for (const file of files) await access(realPath(file), constants.R_OK).catch(note)
    return files
  } catch (error) {
    note(error)
    return []
  }
}

function notAllReadable(problems: readonly string[]): SealiftError {
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(problem => `\n  ${problem}`)
  const more = problems.length > shown.length ? `\n  and ${problems.length - shown.length} more` : ''
  const message = `Nothing was sent, because not all of it can be read:${shown.join('')}${more}`
  return new SealiftError('local_file', message)
}

/** Such as `<(command)`: it can be read once, and has no known end. */
async function isPipe(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isFIFO() ?? false
}

function pipeAdvice(path: string): string {
  const name = printable(path)
  return `${name}: it is a pipe, which is sent as standard input: sealift send - --name NAME < ${name}`
}

/** @throws UsageError for what Node would take for an empty stream */
function readStdin(io: CliIo): ReadableStream<Uint8Array> {
  const { fd } = io.stdin
  const found = fd === undefined ? null : fstatSync(fd)
  if (found?.isDirectory())
    throw new UsageError('Standard input is a folder, which cannot be read as a stream; name it instead of -.')
  if (found?.isBlockDevice()) return Readable.toWeb(createReadStream('', { fd: fd ?? 0 })) as ReadableStream<Uint8Array>
  return Readable.toWeb(io.stdin, { type: 'bytes' }) as ReadableStream<Uint8Array>
}
