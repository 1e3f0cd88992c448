/**
 * Where a command's link comes from: other users of the machine see the arguments of a command, and a link is a secret.
 */
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'

import { localError } from '../client/node/files/local-error.ts'
import type { CliIo } from './cli-io.ts'
import { UsageError } from './exit-codes.ts'

/** What stands for a link on the command line. */
const STDIN = '-'
const FILE_MARK = '@'
/** Some ten thousand links. */
const MAX_BYTES = 1024 * 1024

type LinkIo = Pick<CliIo, 'env' | 'stdin'>

/**
 * The links that the arguments of a command mean: `-` reads standard input, `@FILE` a file, one link a line; without
 * arguments it is that of `SEALIFT_LINK`.
 * @throws UsageError when there is none; local_file
 */
export async function linksFrom(io: LinkIo, given: readonly string[]): Promise<string[]> {
  const named = given.length > 0 ? given : [io.env['SEALIFT_LINK'] ?? ''].filter(link => link !== '')
  if (named.length === 0) {
    throw new UsageError(
      'A link is needed: as an argument, in SEALIFT_LINK, from standard input (-) or a file (@FILE).',
    )
  }
  if (named.filter(each => each === STDIN).length > 1) throw new UsageError('Standard input (-) can be read only once.')
  const links: string[] = []
  for (const each of named) links.push(...(await linksOf(io, each)))
  return links
}

/** @throws UsageError when there is not exactly one; local_file */
export async function linkFrom(io: LinkIo, given: string | undefined): Promise<string> {
  const links = await linksFrom(io, given === undefined ? [] : [given])
  const [link] = links
  if (link === undefined || links.length > 1) {
    throw new UsageError(`There are ${links.length} links in what was given; this command takes one.`)
  }
  return link
}

/** Whether an argument stands for a link, rather than for what may follow a link. */
export function isLinkArgument(argument: string): boolean {
  return argument === STDIN || argument.startsWith(FILE_MARK) || /^https?:/i.test(argument.trim())
}

async function linksOf(io: LinkIo, argument: string): Promise<string[]> {
  if (argument === STDIN) return linesOf(await readAll(io.stdin), 'standard input')
  if (argument.startsWith(FILE_MARK)) return linesOf(await readFile(argument.slice(FILE_MARK.length)), 'the file')
  return [argument]
}

function linesOf(bytes: Buffer, where: string): string[] {
  const lines = bytes
    .toString('utf8')
    .replace(/^\ufeff/, '')
    .split(/\r\n|\r|\n/)
    .map(line => line.trim())
    .filter(line => line !== '')
  if (lines.length === 0) throw new UsageError(`There is no link in ${where}.`)
  return lines
}

async function readFile(path: string): Promise<Buffer> {
  try {
    await using handle = await open(path, 'r')
    return await readAll(handle.createReadStream())
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw localError('The link cannot be read', path, error)
  }
}

async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of stream) {
    const read = Buffer.from(piece as Uint8Array)
    pieces.push(read)
    bytes += read.byteLength
    if (bytes > MAX_BYTES) throw new UsageError('That is too long to be a list of links.')
  }
  return Buffer.concat(pieces)
}
