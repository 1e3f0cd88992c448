import { SealiftError } from '../../protocol/errors.ts'
import { OCTET_STREAM } from '../../protocol/headers.ts'
import { ROUTES } from '../../protocol/routes.ts'
import type { Caller } from '../access/caller.ts'
import type { SlotLimiter } from '../limits/limiter.ts'
import { describeComplete } from '../transfers/download/describe-media.ts'
import { slotRequest } from '../access/transfer-slot.ts'
import { verifyDigest } from '../transfers/upload/byte-source.ts'
import { storeForm } from '../transfers/upload/store-form.ts'
import { storeMedia, type StoreMediaDeps } from '../transfers/upload/store-media.ts'
import { sendJson } from './responses.ts'
import type { Exchange } from './exchange.ts'
import { formFiles } from './form-files.ts'
import { asMaker } from './gate.ts'
import { contentLength, contentType, takeMemory, type Buffering } from './buffered-body.ts'
import { describeProblem } from './problems.ts'
import { digestOf } from './put-part-route.ts'
import { queryOf } from './query.ts'
import { receive } from './receive.ts'

export interface StoreMedia extends StoreMediaDeps, Buffering {
  readonly slots: SlotLimiter
}

/** Read ahead of a media of unknown size, to see whether it is small. */
const AHEAD_BYTES = 128 * 1024
/** The same, and what the parser of a form holds. */
const FORM_BYTES = 256 * 1024

/** POST of whole media: a raw body is one media, a form is one for each of its files. */
export function storeMediaRoute(deps: StoreMedia, exchange: Exchange, caller: Caller): Promise<void> {
  const type = contentType(exchange)
  if (type === OCTET_STREAM) return storeRaw(deps, exchange, caller)
  if (type === 'multipart/form-data') return storeMany(deps, exchange, caller)
  throw new SealiftError('unsupported_media_type', `Send bytes as ${OCTET_STREAM}, or files as multipart/form-data`)
}

async function storeRaw(deps: StoreMedia, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.storeMedia.query)
  const sizeBytes = contentLength(exchange)
  if (sizeBytes === 0) throw new SealiftError('invalid_request', 'There are no bytes to store')
  const sha256 = digestOf(exchange)
  const maker = asMaker(exchange, caller, [query, sizeBytes, sha256], deps.clock)
  const media = await receive(deps, exchange, caller, async source => {
    using slot = await deps.slots.acquire(slotRequest(caller, 'upload'), exchange.signal)
    using _memory = sizeBytes === null ? await takeMemory(deps, exchange, caller, AHEAD_BYTES) : null
    const whole = { ...query, kind: query.kind ?? 'other', sizeBytes, atMostBytes: () => null, sha256, source } as const
    return await storeMedia(deps, maker, whole, AbortSignal.any([exchange.signal, slot.signal]))
  })
  sendJson(exchange, 201, describeComplete(media))
}

async function storeMany(deps: StoreMedia, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.storeMedia.query)
  const sha256 = digestOf(exchange)
  const maker = asMaker(exchange, caller, query, deps.clock)
  const { formMaxFiles } = deps.terms()
  const totalBytes = contentLength(exchange)
  const results = await receive(deps, exchange, caller, async source => {
    using slot = await deps.slots.acquire(slotRequest(caller, 'upload'), exchange.signal)
    using _memory = await takeMemory(deps, exchange, caller, Math.min(totalBytes ?? Infinity, FORM_BYTES))
    const form = sha256 === null ? source : verifyDigest(source, sha256)
    const files = formFiles(exchange.req.headers, form, { maxFiles: formMaxFiles, totalBytes })
    const toStore = { ...query, kind: query.kind ?? 'other', files, maxFiles: formMaxFiles } as const
    return await storeForm(deps, maker, toStore, AbortSignal.any([exchange.signal, slot.signal]))
  })
  sendJson(exchange, 200, {
    results: results.map(({ index, field, outcome }) => ({
      index,
      field,
      ...('media' in outcome
        ? { media: describeComplete(outcome.media) }
        : { problem: describeProblem(outcome.error, exchange.requestId) }),
    })),
  })
}
