import type { NodeSealift, Parcel, ParcelItem } from '../../client/node/index.ts'
import { Output, type CliIo } from '../cli-io.ts'
import { EXIT, UsageError } from '../exit-codes.ts'
import type { RetryNotes } from '../retry-notes.ts'
import { printable } from '../terminal/text.ts'
import { printBytes } from '../terminal/writer.ts'

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
