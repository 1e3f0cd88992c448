import { isSealiftError, parseLink, SealiftError } from '../../client/node/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openForLink, type ServerOptions } from '../client.ts'
import { EXIT } from '../exit-codes.ts'
import { explain, type Explanation } from '../error-text.ts'
import { linksFrom } from '../link-argument.ts'

interface Removal {
  readonly parcelId: string
  readonly ok: boolean
  /** True when there was nothing to delete any more. */
  readonly already?: true
  readonly error?: Explanation
}

/**
 * `sealift rm`: deletes what each link holds; one that fails leaves the others alone, one that is gone is no failure.
 */
export async function rm(io: CliIo, given: readonly string[], options: ServerOptions & OutputOptions): Promise<number> {
  const output = new Output(io, options)
  const links = await linksFrom(io, given)
  const ids = links.map(link => parseLink(link).parcelId)
  const removals: Removal[] = []
  for (const [index, link] of links.entries()) {
    const removal = await removeOne(io, { link, parcelId: ids[index] ?? '' }, options)
    removals.push(removal)
    if (removal.already) output.note(`${removal.parcelId} was deleted already, or has expired.`)
    else if (removal.ok) output.note(`Deleted ${removal.parcelId}.`)
    else output.warn(`${removal.parcelId}: ${removal.error?.message} ${removal.error?.hint ?? ''}`.trimEnd())
  }
  const ok = removals.every(removal => removal.ok)
  await output.result({ ok, parcels: removals })
  return ok ? EXIT.ok : EXIT.failed
}

async function removeOne(
  io: CliIo,
  { link, parcelId }: { link: string; parcelId: string },
  options: ServerOptions,
): Promise<Removal> {
  try {
    await using sealift = openForLink(io, link, options)
    // Only a server that the user named: a default says nothing of where this was sent.
    const server = options.server ?? (io.env['SEALIFT_SERVER'] || undefined)
    const deleted = await sealift.delete(link, undefined, { signal: io.signal, ...(server && { server }) })
    return deleted ? { parcelId, ok: true } : { parcelId, ok: true, already: true }
  } catch (error) {
    if (io.signal.aborted) throw error
    return { parcelId, ok: false, error: explain(isSealiftError(error, 'not_found') ? notOurs(error) : error) }
  }
}

/** The server does not tell what is not ours from what is not there, so neither can this. */
function notOurs(cause: unknown): SealiftError {
  const message =
    'There is no such parcel, or it is not yours to delete: that takes the token it was sent with (--token), ' +
    'or, without one, the machine and user that sent it.'
  return new SealiftError('forbidden', message, { cause })
}
