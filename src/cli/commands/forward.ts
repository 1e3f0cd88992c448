import type { Forwarded } from '../../client/node/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openForLink, type ServerOptions } from '../client.ts'
import { EXIT } from '../exit-codes.ts'
import { linkFrom } from '../link-argument.ts'
import { localTime } from '../terminal/format-text.ts'

export interface ForwardCommandOptions extends ServerOptions, OutputOptions {
  /** Seconds. */
  readonly ttl?: number
  readonly maxDownloads?: number
}

/** `sealift forward`: the new link is the last line on stdout. */
export async function forward(io: CliIo, given: string | undefined, options: ForwardCommandOptions): Promise<number> {
  const link = await linkFrom(io, given)
  const output = new Output(io, options)
  await using sealift = openForLink(io, link, options)
  const published = await sealift.forward(link, {
    signal: io.signal,
    ...(options.ttl === undefined ? {} : { ttlSeconds: options.ttl }),
    ...(options.maxDownloads === undefined ? {} : { maxDownloads: options.maxDownloads }),
  })
  for (const line of termsOf(published)) output.note(line)
  const { link: made, parcelId, expiresAt, itemsExpireAt, endsWithSource, maxDownloads } = published
  await output.link(made, { ok: true, link: made, parcelId, expiresAt, itemsExpireAt, endsWithSource, maxDownloads })
  return EXIT.ok
}

/** What the new link can and cannot outlive. */
function termsOf({ itemsExpireAt, endsWithSource, maxDownloads }: Forwarded): readonly string[] {
  const downloads =
    maxDownloads === null ? '' : `, with ${maxDownloads} ${maxDownloads === 1 ? 'download' : 'downloads'}`
  const shared = [
    'Its downloads are counted together with those of the link that it was made from.',
    'It gives nothing any more once the sender of that link deletes it.',
  ]
  return [...(endsWithSource ? shared : []), `The new link can be read until ${localTime(itemsExpireAt)}${downloads}:`]
}
