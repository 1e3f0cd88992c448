import type { FileItem, Published, SealiftError, SendItem, SentFiles } from '../../client/node/index.ts'
import { Output, quoted, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openServer, type ServerOptions } from '../client.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import { explain } from '../error-text.ts'
import { type FilmMode, FilmNotes, withFilms } from '../send/send-films.ts'
import { RetryNotes } from '../receive-notes.ts'
import { itemsToSend, STDIN } from '../send/send-items.ts'
import { countOf } from '../terminal/progress-frame.ts'
import { printable } from '../terminal/text.ts'
import { localTime, summary } from '../terminal/format-text.ts'

export interface SendCommandOptions extends ServerOptions, OutputOptions {
  /** Seconds. */
  readonly ttl?: number
  readonly maxDownloads?: number
  readonly name?: string
  readonly live?: boolean
  readonly film: FilmMode
  readonly previews: boolean
  readonly times: boolean
}

/** `sealift send`: the link is the last line on stdout. */
export async function send(io: CliIo, paths: readonly string[], options: SendCommandOptions): Promise<number> {
  checkUsage(paths, options)
  const output = new Output(io, options)
  if (paths.includes(STDIN) && io.stdin.isTTY === true) output.note('Reading what you type; end with Ctrl-D.')
  const { items: found, leftOut, renamed } = await itemsToSend(io, paths, options.name ?? 'stdin')
  const { film: mode, previews } = options
  const notes = new FilmNotes({ say: line => output.note(line), now: () => performance.now() })
  const items = await withFilms(io, found, { mode, previews, notes })
  tellLeftOut(output, leftOut)
  tellReadable(output, renamed)
  const startedAtMs = performance.now()
  const sent = await transfer(io, items, { options, output })
  const elapsedMs = performance.now() - startedAtMs
  tellRefused(output, sent)
  output.note(`Sent ${summary({ ...sent, elapsedMs })}${sent.resumed ? ', going on with an earlier send' : ''}.`)
  output.note(`Anyone with the link can read it until ${localTime(sent.expiresAt)}:`)
  const result = resultOf(sent, { items, leftOut, renamed, elapsedMs, notes })
  if (options.live) await output.result(result)
  else await output.link(sent.link, result)
  return sent.refused.length === 0 ? EXIT.ok : EXIT.failed
}

function checkUsage(paths: readonly string[], options: SendCommandOptions): void {
  const streams = paths.filter(path => path === STDIN).length
  if (streams > 1) throw new UsageError('Standard input (-) can be sent only once.')
  if (options.name !== undefined && streams === 0)
    throw new UsageError('--name names what comes from standard input; give - as one of the paths.')
}

async function transfer(
  io: CliIo,
  items: readonly (FileItem | SendItem)[],
  { options, output }: { options: SendCommandOptions; output: Output },
): Promise<SentFiles> {
  const retries = new RetryNotes()
  const onStateFailure = tellNotKept(output)
  await using sealift = openServer(io, options, { onRetry: retries.onRetry, onStateFailure })
  using view = output.progress('sending')
  retries.showOn(view)
  const printed: Promise<void>[] = []
  const print = ({ link }: Published): void => {
    const printing = output.link(link)
    // Reported after the send: standard error has the link.
    printing.catch(() => undefined)
    printed.push(printing)
  }
  const sent = await sealift.sendFiles(items, {
    signal: io.signal,
    leaveOutRefused: true,
    times: options.times,
    onProgress: progress => view.update(progress),
    ...(options.ttl === undefined ? {} : { ttlSeconds: options.ttl }),
    ...(options.maxDownloads === undefined ? {} : { maxDownloads: options.maxDownloads }),
    ...(options.live ? { publishFirst: true, onPublished: print } : {}),
  })
  await Promise.all(printed)
  return sent
}

/** Said always: it changes what the sender can do later. */
export function tellNotKept(output: Output): (error: SealiftError) => void {
  return error =>
    output.warn(
      `${explain(error).message}. Sending goes on, but it cannot be resumed, and \`sealift rm\` will not be able to ` +
        'delete it unless it is sent with a token; otherwise it stays until it expires.',
    )
}

/** Lists what is skipped. */
function tellLeftOut(output: Output, leftOut: readonly string[]): void {
  const [first] = leftOut
  if (first === undefined) return
  const others = leftOut.length > 1 ? ` and ${leftOut.length - 1} more` : ''
  output.note(`Left out, as symbolic links and special files inside folders are: ${printable(first)}${others}`)
}

/** Receivers see another name than the sender's folder shows. */
function tellReadable(output: Output, renamed: readonly string[]): void {
  const [first] = renamed
  if (first === undefined) return
  const others = renamed.length > 1 ? ` and ${renamed.length - 1} more` : ''
  output.note(`Sent under a readable form of their names, which are not UTF-8: ${quoted(first)}${others}`)
}

/** The others were sent: the link stands for them. */
function tellRefused(output: Output, { refused }: SentFiles): void {
  if (refused.length === 0) return
  output.warn(`The server refused ${countOf(refused.length)}, which the link does not hold:`)
  for (const { error } of refused) output.warn(`  ${explain(error).message}`)
  const hints = new Set(refused.map(({ error }) => explain(error).hint).filter(hint => hint !== undefined))
  for (const hint of hints) output.warn(hint)
}

interface Told {
  readonly items: readonly (FileItem | SendItem)[]
  readonly leftOut: readonly string[]
  readonly renamed: readonly string[]
  readonly elapsedMs: number
  readonly notes: Pick<FilmNotes, 'of'>
}

function resultOf(sent: SentFiles, { items, leftOut, renamed, elapsedMs, notes }: Told): object {
  const { link, parcelId, expiresAt, bytes, resumed } = sent
  const seconds = Math.round(elapsedMs) / 1000
  const errors = new Map(sent.refused.map(({ index, error }) => [index, explain(error)]))
  const names = items.map(({ name }, index) => {
    const error = errors.get(index)
    const noted = notes.of(name).length > 0 ? { notes: notes.of(name) } : {}
    return error ? { name, ok: false, error } : { name, ...noted }
  })
  return { ok: errors.size === 0, link, parcelId, expiresAt, bytes, seconds, resumed, items: names, leftOut, renamed }
}
