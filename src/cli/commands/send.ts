import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { Readable } from 'node:stream'

import {
  listFiles,
  SealiftError,
  type FileItem,
  type Published,
  type SendItem,
  type SentFiles,
} from '../../client/node/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openServer, type ServerOptions } from '../client.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import { explain } from '../explain.ts'
import { localTime, summary } from '../words.ts'

export interface SendCommandOptions extends ServerOptions, OutputOptions {
  /** Seconds. */
  readonly ttl?: number
  readonly maxDownloads?: number
  readonly name?: string
  readonly live?: boolean
}

const STDIN = '-'

/** `sealift send`: the link is the last line on stdout. */
export async function send(io: CliIo, paths: readonly string[], options: SendCommandOptions): Promise<number> {
  checkUsage(paths, options)
  const output = new Output(io, options)
  const items = await itemsOf(io, paths, options)
  if (paths.includes(STDIN) && io.stdin.isTTY === true) output.note('Reading what you type; end with Ctrl-D.')
  const startedAtMs = performance.now()
  const sent = await transfer(io, items, { options, output })
  const elapsedMs = performance.now() - startedAtMs
  output.note(`Sent ${summary({ ...sent, elapsedMs })}${sent.resumed ? ', going on with an earlier send' : ''}.`)
  output.note(`Whoever has the link can read it until ${localTime(sent.expiresAt)}:`)
  if (!options.live) await output.line(sent.link)
  await output.result(resultOf(sent, items, elapsedMs))
  return EXIT.ok
}

function checkUsage(paths: readonly string[], options: SendCommandOptions): void {
  const streams = paths.filter(path => path === STDIN).length
  if (streams > 1) throw new UsageError('Standard input (-) can be sent only once.')
  if (options.name !== undefined && streams === 0)
    throw new UsageError('--name names what comes from standard input; give - as one of the paths.')
}

/** Everything there is to send, in the order it was named. Rejects when something of it cannot be read. */
async function itemsOf(
  io: CliIo,
  paths: readonly string[],
  options: SendCommandOptions,
): Promise<(FileItem | SendItem)[]> {
  const items: (FileItem | SendItem)[] = []
  for (const path of paths) {
    if (path === STDIN) items.push({ name: options.name ?? 'stdin', source: readStdin(io) })
    else items.push(...(await listFiles([path], { signal: io.signal })))
  }
  await checkReadable(items)
  if (items.length === 0) throw new UsageError('There is no file in what was named; nothing was sent.')
  return items
}

/** All that cannot be read is told at once, before anything is sent. */
async function checkReadable(items: readonly (FileItem | SendItem)[]): Promise<void> {
  const problems: string[] = []
  for (const item of items) {
    if (!('path' in item)) continue
    await access(item.path, constants.R_OK).catch((error: unknown) => problems.push(explain(error).message))
  }
  if (problems.length === 0) return
  const shown = problems.slice(0, 20).map(problem => `\n  ${problem}`)
  const more = problems.length > shown.length ? `\n  and ${problems.length - shown.length} more` : ''
  throw new SealiftError('local_file', `Nothing was sent, because not all of it can be read:${shown.join('')}${more}`)
}

function readStdin(io: CliIo): ReadableStream<Uint8Array> {
  return Readable.toWeb(io.stdin, { type: 'bytes' }) as ReadableStream<Uint8Array>
}

async function transfer(
  io: CliIo,
  items: readonly (FileItem | SendItem)[],
  { options, output }: { options: SendCommandOptions; output: Output },
): Promise<SentFiles> {
  await using sealift = openServer(io, options)
  using view = output.progress('sending')
  const printed: Promise<void>[] = []
  const print = ({ link }: Published) => void printed.push(output.line(link))
  const sent = await sealift.sendFiles(items, {
    signal: io.signal,
    onProgress: progress => view.update(progress),
    ...(options.ttl === undefined ? {} : { ttlSeconds: options.ttl }),
    ...(options.maxDownloads === undefined ? {} : { maxDownloads: options.maxDownloads }),
    ...(options.live ? { publishFirst: true, onPublished: print } : {}),
  })
  await Promise.all(printed)
  return sent
}

function resultOf(sent: SentFiles, items: readonly (FileItem | SendItem)[], elapsedMs: number): object {
  const { link, parcelId, expiresAt, bytes, resumed } = sent
  const seconds = Math.round(elapsedMs) / 1000
  return { ok: true, link, parcelId, expiresAt, bytes, seconds, resumed, items: items.map(({ name }) => ({ name })) }
}
