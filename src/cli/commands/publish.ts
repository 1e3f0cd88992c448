import { stat } from 'node:fs/promises'

import pLimit from 'p-limit'

import { isSealiftError, type SentFiles } from '../../client/node/index.ts'
import { defaultStateDirectory } from '../../client/node/state/state-directory.ts'
import { Output, quoted, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openServer, serverOf, type ServerOptions } from '../client.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import { explain } from '../error-text.ts'
import { Publications, untilDone } from '../publish/publications.ts'
import { landedFiles, type LandedFile } from '../publish/landed-files.ts'
import type { PassedOverReason } from '../publish/passed-over.ts'
import { type FilmMode, FilmNotes, withFilms } from '../send/send-films.ts'
import { tellNotKept } from './send.ts'

const PASSED_OVER: Readonly<Record<PassedOverReason, string>> = {
  unfinished: 'which has a hidden or temporary name',
  special: 'which is a symbolic link or no file',
  unreadable: 'which cannot be read',
}

const RETRY_BASE_MS = 5000
const RETRY_CAP_MS = 5 * 60_000

export interface PublishOptions extends ServerOptions, OutputOptions {
  readonly watch?: boolean
  /** Seconds. */
  readonly ttl?: number
  readonly maxDownloads?: number
  readonly film: FilmMode
  /** Files at once. */
  readonly atOnce: number
  /** Seconds without changes before a file is considered complete. */
  readonly settle: number
}

/** `sealift publish`: a parcel for each file that lands in a folder; one line for each on stdout. */
export async function publish(io: CliIo, folder: string, options: PublishOptions): Promise<number> {
  if (
    !(await stat(folder).then(
      found => found.isDirectory(),
      () => false,
    ))
  )
    throw new UsageError('What is published is a folder; this is none, or cannot be read.')
  const output = new Output(io, options)
  const server = serverOf(io, options)
  await using publications = await Publications.open(defaultStateDirectory(io.env), folder, server).catch(
    (error: unknown) => {
      if (!isSealiftError(error, 'local_file')) throw error
      output.warn(`${explain(error).message}. What is published is not remembered: the next start publishes it again.`)
      return Publications.forgetful()
    },
  )
  const run = new PublishRun(io, { options, output, publications })
  output.note(`Publishing ${quoted(folder)} to ${server}${options.watch ? '; Ctrl-C ends it' : ''}.`)
  const settled = {
    settleMs: options.settle * 1000,
    watch: options.watch ?? false,
    signal: io.signal,
    onPassedOver: (path: string, reason: PassedOverReason) =>
      output.note(`Passed over ${quoted(path)}, ${PASSED_OVER[reason]}.`),
    onRenamed: (name: string) =>
      output.note(`The name of ${quoted(name)} is not UTF-8; it is published in this readable form.`),
  }
  for await (const landed of landedFiles(folder, settled)) run.add(landed)
  await run.finish()
  if (io.signal.aborted) throw io.signal.reason
  return run.failed === 0 ? EXIT.ok : EXIT.failed
}

interface Publishing {
  readonly options: PublishOptions
  readonly output: Output
  readonly publications: Publications
}

class PublishRun {
  failed = 0
  #published = 0
  readonly #io: CliIo
  readonly #publishing: Publishing
  readonly #limit
  readonly #running = new Set<Promise<void>>()

  constructor(io: CliIo, publishing: Publishing) {
    this.#io = io
    this.#publishing = publishing
    this.#limit = pLimit(publishing.options.atOnce)
  }

  add(landed: LandedFile): void {
    const { item, state } = landed
    if (this.#publishing.publications.has(item.path, state)) {
      this.#published += 1
      return
    }
    const running = this.#limit(() => this.#publishOrTell(landed)).finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async finish(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
    if (this.#published === 0) return
    const files = this.#published === 1 ? '1 file was' : `${this.#published} files were`
    this.#publishing.output.note(`${files} published before and did not change.`)
  }

  /** One that fails leaves the others alone; it is tried again when it changes, or at the next start. */
  async #publishOrTell(landed: LandedFile): Promise<void> {
    const { output } = this.#publishing
    const { name } = landed.item
    if (this.#io.signal.aborted) return
    try {
      const { sent, notes } = await untilDone(() => this.#send(landed), {
        baseMs: RETRY_BASE_MS,
        capMs: RETRY_CAP_MS,
        random: Math.random,
        signal: this.#io.signal,
        onPause: (error, waitMs) =>
          output.warn(
            `${quoted(name)}: ${sentence(explain(error).message)} Trying again in ${Math.ceil(waitMs / 1000)}s.`,
          ),
      })
      await this.#publishing.publications.add(landed.item.path, landed.state, sent.link)
      await this.#tell(landed, sent, notes)
    } catch (error) {
      if (this.#io.signal.aborted) return
      this.failed += 1
      const { message, hint } = explain(error)
      output.warn(`${quoted(name)} was not published. ${sentence(message)} ${hint ?? ''}`.trimEnd())
    }
  }

  async #send({ item }: LandedFile): Promise<{ readonly sent: SentFiles; readonly notes: readonly string[] }> {
    const { options, output } = this.#publishing
    const { ttl, maxDownloads, film } = options
    const notes = new FilmNotes({ say: line => output.note(line), now: () => performance.now() })
    const items = await withFilms(this.#io, [item], { mode: film, previews: true, notes })
    const onStateFailure = tellNotKept(output)
    await using sealift = openServer(this.#io, options, { onStateFailure })
    const sent = await sealift.sendFiles(items, {
      signal: this.#io.signal,
      ...(ttl !== undefined && { ttlSeconds: ttl }),
      ...(maxDownloads !== undefined && { maxDownloads }),
    })
    return { sent, notes: notes.of(item.name) }
  }

  async #tell({ item: { name } }: LandedFile, sent: SentFiles, notes: readonly string[]): Promise<void> {
    const { link, bytes, expiresAt } = sent
    const { output } = this.#publishing
    output.note(`Published ${quoted(name)}:`)
    await output.link(link)
    // Programs read a line for each as it comes: there may be no end.
    await output.result({ ok: true, name, link, bytes, expiresAt, ...(notes.length > 0 && { notes }) })
  }
}

/** Messages of errors may come without their full stop. */
function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`
}
