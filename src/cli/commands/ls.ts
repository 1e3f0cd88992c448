import type { Parcel } from '../../client/node/index.ts'
import { formatSize } from '../../protocol/units.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openForLink, type ServerOptions } from '../client.ts'
import { EXIT } from '../exit-codes.ts'
import { noted, tellNotes } from '../receive-notes.ts'
import { linkFrom } from '../link-argument.ts'
import { countOf } from '../terminal/progress-frame.ts'
import { printable, table } from '../terminal/text.ts'
import { localTime } from '../terminal/format-text.ts'

/** `sealift ls`: one line for each item. */
export async function ls(
  io: CliIo,
  given: string | undefined,
  options: ServerOptions & OutputOptions,
): Promise<number> {
  const link = await linkFrom(io, given)
  const output = new Output(io, options)
  await using sealift = openForLink(io, link, options)
  const parcel = await sealift.open(link, { signal: io.signal })
  await output.lines(table(rowsOf(parcel), [0]))
  tellNotes(output, parcel.items)
  const total = parcel.items.reduce((sum, item) => sum + (item.bytes ?? 0), 0)
  const more = parcel.complete ? '' : '; more is still being sent'
  output.note(`${countOf(parcel.items.length)}, ${formatSize(total)}, sent ${localTime(parcel.createdAt)}${more}`)
  await output.result(resultOf(parcel))
  return EXIT.ok
}

function rowsOf(parcel: Parcel): string[][] {
  return parcel.items.map(({ bytes, type, name, state }) => {
    const size = bytes === null ? '?' : formatSize(bytes)
    return [size, printable(type), printable(name) + (state === 'sending' ? '  (still being sent)' : '')]
  })
}

function resultOf({ parcelId, version, createdAt, complete, items }: Parcel): object {
  const listed = items.map(item => {
    const { index, name, type, bytes, state } = item
    return { index, name, type, bytes, state, ...noted(item) }
  })
  return { ok: true, parcelId, version, createdAt, complete, items: listed }
}
