/** The routes of transfers that do not pass this server. */
import { HEADER } from '../../protocol/headers.ts'
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../caller.ts'
import { confirmPart, directPart, type DirectPart, type DirectParts } from '../direct/direct-part.ts'
import { directRead, endDirect, type DirectReads } from '../direct/direct-read.ts'
import { etagOf } from '../media/describe-media.ts'
import { sendEmpty, sendJson } from './answers.ts'
import type { Exchange } from './exchange.ts'
import { JSON_BYTES, readJson, type JsonBodyOptions } from './json-body.ts'
import { partIndex } from './put-part-route.ts'

export type DirectRoutes = DirectParts &
  DirectReads & {
    readonly jsonBody: (limitBytes: number) => JsonBodyOptions
  }

export async function directPartRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  parameters: readonly string[],
): Promise<void> {
  const part = await readPart(deps, exchange, parameters)
  const address = await exchange.inLine(directPart(deps, caller, part, exchange.signal))
  if (address) sendJson(exchange, 200, address)
  else sendEmpty(exchange, 204)
}

export async function confirmPartRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  parameters: readonly string[],
): Promise<void> {
  await confirmPart(deps, caller, await readPart(deps, exchange, parameters), exchange.signal)
  sendEmpty(exchange, 204)
}

export async function directReadRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  caller: Caller,
  [mediaId = '']: readonly string[],
): Promise<void> {
  const range = await readJson(exchange, ROUTES.directRead.json, deps.jsonBody(JSON_BYTES))
  const known = exchange.req.headers[HEADER.download]
  const grant = typeof known === 'string' ? known : undefined
  const asked = directRead(deps, caller, { mediaId, grant, ...range }, exchange.signal)
  const { read, media, counted } = await exchange.inLine(asked)
  const download = counted ? ['Sealift-Download', counted.grantId] : []
  sendJson(exchange, 200, read, ['ETag', etagOf(media.blobId), ...download])
}

export async function endDirectRoute(
  deps: DirectRoutes,
  exchange: Exchange,
  [transferId = '']: readonly string[],
): Promise<void> {
  endDirect(deps, transferId)
  sendEmpty(exchange, 204)
}

async function readPart(
  deps: DirectRoutes,
  exchange: Exchange,
  [uploadId = '', index = '']: readonly string[],
): Promise<DirectPart> {
  const told = await readJson(exchange, ROUTES.directPart.json, deps.jsonBody(JSON_BYTES))
  return { uploadId, index: partIndex(index), ...told }
}
