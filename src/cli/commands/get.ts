import { matchesGlob } from 'node:path'

import type { NodeSealift, Parcel, ParcelItem, Received, ReceivedItem } from '../../client/node/index.ts'
import { type CliIo, Output, type OutputOptions } from '../cli-io.ts'
import { type ServerOptions, openForLink } from '../client.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import { explain } from '../error-text.ts'
import { RetryNotes, noted, tellNotes, tellRenamed } from '../receive-notes.ts'
import { linkFrom } from '../link-argument.ts'
import { countOf } from '../terminal/progress-frame.ts'
import { printable } from '../terminal/text.ts'
import { summary } from '../terminal/format-text.ts'
import { printBytes } from '../terminal/writer.ts'

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
  const output = new Output(io, options)
  await using sealift = openForLink(io, link, options, {
    onRetry: retries.onRetry,
    onStateFailure: error => output.note(`${explain(error).message}. If this is interrupted, it begins anew.`),
  })
  const only = options.only === undefined ? undefined : selectorOf(options.only)
  if (options.stdout) return await getToStdout(io, sealift, { link, only, retries, quiet: options.quiet ?? false })
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

interface StdoutCall {
  readonly link: string
  readonly only: ((item: ParcelItem) => boolean) | undefined
  readonly quiet: boolean
  readonly retries: RetryNotes
}

/** Writes one item to stdout, in order, each chunk authenticated before it is written. */
export async function getToStdout(io: CliIo, sealift: NodeSealift, call: StdoutCall): Promise<number> {
  using view = new Output(io, { quiet: call.quiet }).progress('receiving')
  call.retries.showOn(view)
  const parcel = await sealift.open(call.link, { signal: io.signal })
  const item = theOnlyItem(parcel, call.only)
  const startedAtMs = performance.now()
  let bytes = 0
  for await (const chunk of parcel.stream(item, { signal: io.signal })) {
    await printBytes(io.stdout, chunk)
    bytes += chunk.byteLength
    view.update(progressOf(item, bytes, performance.now() - startedAtMs))
  }
  return EXIT.ok
}

function theOnlyItem(parcel: Parcel, only: StdoutCall['only']): ParcelItem {
  const items = only ? parcel.items.filter(only) : parcel.items
  const [item] = items
  if (item === undefined) throw new UsageError('No item of this link has a name that matches --only.')
  if (items.length === 1) return item
  const names = items.slice(0, 10).map(({ name }) => `  ${printable(name)}`)
  const more = items.length > names.length ? [`  and ${items.length - names.length} more`] : []
  throw new UsageError(
    ['--stdout writes one item, and there are several; choose with --only:', ...names, ...more].join('\n'),
  )
}

function progressOf(item: ParcelItem, bytes: number, elapsedMs: number) {
  const bytesPerSecond = elapsedMs > 0 ? (bytes / elapsedMs) * 1000 : 0
  const left = item.bytes === null || bytesPerSecond === 0 ? null : (item.bytes - bytes) / bytesPerSecond
  return { bytes, totalBytes: item.bytes, itemsDone: 0, items: 1, bytesPerSecond, secondsLeft: left, active: [] }
}
