import { matchesGlob } from 'node:path'

import type { NodeSealift, ParcelItem, Received, ReceivedItem } from '../../client/node/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openForLink, type ServerOptions } from '../client.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import { explain } from '../explain.ts'
import { noted, tellNotes } from '../item-notes.ts'
import { linkFrom } from '../link-argument.ts'
import { RetryNotes } from '../retry-notes.ts'
import { tellRenamed } from '../renamed-items.ts'
import { countOf } from '../terminal/progress-frame.ts'
import { printable } from '../terminal/text.ts'
import { summary } from '../words.ts'
import { getToStdout } from './get-to-stdout.ts'

export interface GetCommandOptions extends ServerOptions, OutputOptions {
  readonly output: string
  readonly only?: readonly string[]
  readonly stdout?: boolean
  readonly hidden?: boolean
  readonly times: boolean
}

/** `sealift get`: everything a link holds, into a folder (or one item to stdout). */
export async function get(io: CliIo, given: string | undefined, options: GetCommandOptions): Promise<number> {
  const link = await linkFrom(io, given)
  const retries = new RetryNotes()
  await using sealift = openForLink(io, link, options, retries)
  const only = options.only === undefined ? undefined : selectorOf(options.only)
  if (options.stdout) return await getToStdout(io, sealift, { link, only, retries, quiet: options.quiet ?? false })
  const output = new Output(io, options)
  const startedAtMs = performance.now()
  const { output: directory, hidden = false, times } = options
  const received = await receive(io, sealift, { link, only, output, retries, directory, hidden, times })
  const elapsedMs = performance.now() - startedAtMs
  if (received.items.length === 0 && only) throw new UsageError('No item of this link has a name that matches --only.')
  tell(output, received, { elapsedMs, directory })
  await output.result(resultOf(received, { elapsedMs, directory }))
  return received.complete ? EXIT.ok : EXIT.failed
}

/** A pattern without a slash is for the last part of a name, wherever its folder. */
export function selectorOf(patterns: readonly string[]): (item: Pick<ParcelItem, 'name'>) => boolean {
  return ({ name }) => {
    const base = name.slice(name.lastIndexOf('/') + 1)
    return patterns.some(pattern => pattern === name || matchesGlob(pattern.includes('/') ? name : base, pattern))
  }
}

interface ReceiveCall {
  readonly link: string
  readonly directory: string
  readonly only: ((item: ParcelItem) => boolean) | undefined
  readonly hidden: boolean
  readonly output: Output
  readonly retries: RetryNotes
  readonly times: boolean
}

async function receive(io: CliIo, sealift: NodeSealift, call: ReceiveCall): Promise<Received> {
  using view = call.output.progress('receiving')
  call.retries.showOn(view)
  return await sealift.receive(call.link, {
    directory: call.directory,
    signal: io.signal,
    keepOnAbort: true,
    hidden: call.hidden,
    onNoJournal: error => call.output.note(`${explain(error).message}. If this is interrupted, it begins anew.`),
    times: call.times,
    onProgress: progress => view.update(progress),
    ...(call.only ? { only: call.only } : {}),
  })
}

interface Told {
  readonly elapsedMs: number
  readonly directory: string
}

function tell(output: Output, received: Received, { elapsedMs, directory }: Told): void {
  const { items } = received
  const done = items.filter(item => item.error === null)
  const failed = items.filter(item => item.error !== null)
  const facts = { items: done.length, bytes: bytesOf(done), elapsedMs }
  output.note(`Received ${summary(facts)} into ${printable(directory)}.`)
  tellRenamed(output, received)
  tellNotes(
    output,
    done.map(({ item }) => item),
  )
  if (failed.length === 0) return
  output.warn(`${countOf(failed.length)} could not be received:`)
  for (const { item, error } of failed) output.warn(`  ${printable(item.name)}: ${explain(error).message}`)
  const hints = new Set(failed.map(({ error }) => explain(error).hint).filter(hint => hint !== undefined))
  for (const hint of hints) output.warn(hint)
}

function resultOf({ parcel, items, complete }: Received, { elapsedMs, directory }: Told): object {
  const bytes = bytesOf(items.filter(item => item.error === null))
  const seconds = Math.round(elapsedMs) / 1000
  return { ok: complete, parcelId: parcel.parcelId, directory, bytes, seconds, items: items.map(itemResult) }
}

function itemResult({ item, path, changes, bytes, error }: ReceivedItem): object {
  const { index, name, type } = item
  const facts = { index, name, type, bytes: bytes ?? item.bytes, path, renamed: changes, ok: error === null }
  const base = { ...facts, ...noted(item) }
  return error === null ? base : { ...base, error: explain(error) }
}

function bytesOf(items: readonly ReceivedItem[]): number {
  return items.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
}
