import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openForLink, type ServerOptions } from '../client.ts'
import { EXIT } from '../exit-codes.ts'
import { linkFrom } from '../link-argument.ts'
import { localTime } from '../words.ts'

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
  output.note(`Whoever has the new link can read it until ${localTime(published.expiresAt)}:`)
  const { link: made, parcelId, expiresAt } = published
  await output.link(made, { ok: true, link: made, parcelId, expiresAt })
  return EXIT.ok
}
