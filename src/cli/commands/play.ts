import { type Parcel, type ParcelItem, SealiftError } from '../../client/node/index.ts'
import { type CliIo, Output, type OutputOptions } from '../cli-io.ts'
import { type ServerOptions, openForLink } from '../client.ts'
import { EXIT, Interrupted, UsageError } from '../exit-codes.ts'
import { explain } from '../error-text.ts'
import { noted, tellNotes } from '../receive-notes.ts'
import { isLinkArgument, linkFrom } from '../link-argument.ts'
import { Gateway } from '../play/gateway.ts'
import { runPlayer } from '../play/run-player.ts'
import { printable, table } from '../terminal/text.ts'
import { selectorOf } from './get.ts'

/** How long to wait for the description of what looks like a film and has only just begun to be sent. */
const FILM_WAIT_MS = 5000

export interface PlayCommandOptions extends ServerOptions, OutputOptions {
  readonly port?: number
  /** A program that is started with the address, and ends the command with it. */
  readonly open?: string
}

/** As given on the command line. */
export interface Played {
  readonly link: string | undefined
  readonly item: string | undefined
}

/** `sealift play`: real HLS, and plain files, on loopback for any player. */
export async function play(io: CliIo, given: Played, options: PlayCommandOptions): Promise<number> {
  const { link: from, item: wanted } = meant(io, given)
  const link = await linkFrom(io, from)
  const output = new Output(io, options)
  await using sealift = openForLink(io, link, options)
  const parcel = await sealift.open(link, { signal: io.signal })
  const troubles = new Troubles(output, parcel)
  await using gateway = await startGateway(parcel, { port: options.port ?? 0, troubles })
  const item = await choose(gateway, wanted, io.signal)
  await tell(output, gateway, item)
  try {
    return await (options.open === undefined
      ? untilStopped(io.signal)
      : playUntilEnd(io, output, { program: options.open, url: gateway.urlOf(item.index), troubles }))
  } catch (error) {
    // The one object of `--json` is printed already, so the end is not another one.
    if (!(io.signal.aborted && io.signal.reason instanceof Interrupted)) throw error
    output.warn('Stopped.')
    return io.signal.reason.exitCode
  }
}

/** With `SEALIFT_LINK`, the only argument may be the item. */
function meant(io: CliIo, { link, item }: Played): Played {
  const isItem = link !== undefined && item === undefined && io.env['SEALIFT_LINK'] && !isLinkArgument(link)
  return isItem ? { link: undefined, item: link } : { link, item }
}

/** What went wrong, in one line each, once: players ask for the same bytes again and again. */
class Troubles {
  readonly #output: Output
  readonly #parcel: Parcel
  readonly #told = new Set<string>()

  constructor(output: Output, parcel: Parcel) {
    this.#output = output
    this.#parcel = parcel
  }

  get some(): boolean {
    return this.#told.size > 0
  }

  readonly onSenderGone = (): void =>
    this.#tell('The sender stopped before everything was sent; what is there plays to its end.')

  readonly onTrouble = (error: unknown): void =>
    this.#tell(`Looking for more failed, and is tried again: ${explain(error).message}`)

  readonly onReadError = (error: unknown, index: number): void => {
    const name = this.#parcel.items[index]?.name ?? ''
    this.#tell(`${printable(name)}: ${explain(error).message}`)
  }

  #tell(line: string): void {
    if (this.#told.has(line)) return
    this.#told.add(line)
    this.#output.warn(`sealift: ${line}`)
  }
}

async function startGateway(
  parcel: Parcel,
  { port, troubles }: { readonly port: number; readonly troubles: Troubles },
): Promise<Gateway> {
  try {
    return await Gateway.start({ parcel, port, events: troubles })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (code !== 'EADDRINUSE' && code !== 'EACCES') throw error
    const why = code === 'EACCES' ? 'may not be listened on' : 'is in use already'
    const message = `Port ${port} ${why}. Choose another with --port, or leave it out for any free one.`
    throw new SealiftError('invalid_request', message, { cause: error })
  }
}

async function choose({ followed }: Gateway, wanted: string | undefined, signal: AbortSignal): Promise<ParcelItem> {
  const isFilm = (index: number): boolean => followed.film(index) !== null
  const chosen = (): ParcelItem => chooseItem({ items: followed.parcel.items, isFilm }, wanted)
  const isSettled = (): boolean => {
    const { index, type } = chosen()
    return isFilm(index) || !/^(?:audio|video)\//.test(type)
  }
  const enough = AbortSignal.timeout(FILM_WAIT_MS)
  try {
    await followed.until(isSettled, AbortSignal.any([signal, enough]))
  } catch (error) {
    if (!enough.aborted || signal.aborted) throw error
  }
  return chosen()
}

async function tell(output: Output, gateway: Gateway, item: ParcelItem): Promise<void> {
  const { followed } = gateway
  const items = followed.parcel.items.map(each => {
    const { index, name, type, state } = each
    const film = followed.film(index) !== null
    return { index, name, type, state, film, url: gateway.urlOf(index), ...noted(each) }
  })
  const url = gateway.urlOf(item.index)
  const films = items.filter(({ film }) => film)
  if (films.length > 1)
    await output.lines(
      table(
        films.map(film => [String(film.index + 1), film.url, printable(film.name)]),
        [0],
      ),
    )
  tellNotes(output, [item])
  output.note(`Plays ${printable(item.name)} until Ctrl-C, in any player on this machine that is given this address:`)
  await output.line(url)
  await output.result({ ok: true, url, item: item.index, items })
}

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

interface PlayerRun {
  readonly program: string
  readonly url: string
  readonly troubles: Troubles
}

async function playUntilEnd(io: CliIo, output: Output, { program, url, troubles }: PlayerRun): Promise<number> {
  const { code, signal } = await runPlayer(program, url, io.signal)
  io.signal.throwIfAborted()
  if (code === 0) return troubles.some ? EXIT.failed : EXIT.ok
  output.warn(`sealift: The player ended with ${signal ?? `code ${code}`}.`)
  return EXIT.failed
}

export interface Choosable {
  readonly items: readonly ParcelItem[]
  readonly isFilm: (index: number) => boolean
}

/**
 * Which item is meant: by its number, counted from 1, or by a pattern for its name; the first film when nothing is
 * said, else the first item.
 * @throws UsageError when there is none
 */
export function chooseItem({ items, isFilm }: Choosable, wanted: string | undefined): ParcelItem {
  const candidates = wanted === undefined ? items : matching(items, wanted)
  const chosen = candidates.find(({ index }) => isFilm(index)) ?? candidates[0]
  if (chosen) return chosen
  throw new UsageError(
    wanted === undefined
      ? 'This link holds nothing.'
      : 'No item of this link has this number or a name that matches; `sealift ls` lists them.',
  )
}

function matching(items: readonly ParcelItem[], wanted: string): readonly ParcelItem[] {
  const named = items.filter(selectorOf([wanted]))
  if (named.length > 0 || !/^\d+$/.test(wanted)) return named
  return items.slice(Number(wanted) - 1, Number(wanted))
}
