/** Bytes that go between a client and the store past the nodes: the same promises, told by address and confirmation. */
import { createHash } from 'node:crypto'

import { directAddress, directRead, type DirectAddress, type DirectRead } from '../../../src/protocol/schemas.ts'
import type { Actor, Told } from './actor.ts'
import { DIRECT_MS } from './cluster.ts'
import { type HeldSpan, PART_BYTES, partOf } from './facts.ts'
import { callHttp, type HttpReply, type HttpCall, LostCall } from './http-call.ts'
import { countDelivered, isRefusedRightly, nameOf, readable, type Reading } from './media-steps.ts'
import { isEnded, noteAcknowledged, unfinished, type Uploading } from './known-uploads.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
/** The SDK waits longer; here a store that does not answer costs a step, not a run. */
const STORE_CALL_MS = 3000

const told = (part: Buffer) =>
  Buffer.from(JSON.stringify({ sizeBytes: part.length, md5: createHash('md5').update(part).digest('base64') }))

/** One part by an address of the store; it counts when its confirmation gets a response. */
export async function putDirectly(actor: Actor, media: Uploading, index: number): Promise<void> {
  const { history } = actor
  const part = partOf(media.content, index)
  const node = actor.aNode()
  const askedAt = history.now()
  const response = await askAddress(actor, media, { index, part, node })
  if (response?.code !== null || !response.whole) return
  // It is durable already, with these bytes.
  if (response.status === 204) return noteAcknowledged(actor, media.upload, index)
  const address = directAddress.parse(JSON.parse(response.body.toString()))
  const turn = media.upload.directTurns.get(index)
  const start = history.now()
  const stored = await callStore(actor, `PUT at the store ${media.content.name}/${index}`, putAt(address, part))
  // No one else's asking or confirming has freed the slot of this very part.
  if (media.upload.directTurns.get(index) === turn) noteHeld(actor, { direction: 'upload', node, start, askedAt })
  // The response may have been lost, and an earlier try may have stored it.
  if (stored === null || stored.status < 300 || stored.status === 412 || actor.random.chance(0.2))
    await confirm(actor, media, index, part)
  else await endDirect(actor, address.transferId)
}

interface Asking {
  readonly index: number
  readonly part: Buffer
  readonly node?: number
  readonly what?: string
  readonly allows?: (code: string) => boolean
}

function askAddress(actor: Actor, media: Uploading, { index, part, node, what, allows }: Asking): Promise<Told | null> {
  const { upload, content } = media
  nextTurn(upload, index)
  return actor.ask({
    method: 'POST',
    path: `/v1/uploads/${upload.uploadId}/parts/${index}/direct`,
    what: `POST address ${what ?? ''}${content.name}/${index}`,
    headers: JSON_TYPE,
    body: told(part),
    ...(node === undefined ? {} : { node }),
    allows: code => isOver(media, code) || (allows?.(code) ?? false),
  })
}

async function confirm(actor: Actor, media: Uploading, index: number, part: Buffer): Promise<void> {
  const { upload, content } = media
  nextTurn(upload, index)
  const response = await actor.ask({
    method: 'POST',
    path: `/v1/uploads/${upload.uploadId}/parts/${index}/stored`,
    what: `POST stored ${content.name}/${index}`,
    headers: JSON_TYPE,
    body: told(part),
    // The store may not have it, or what somebody else has put there.
    allows: code => code === 'parts_missing' || isOver(media, code),
  })
  if (response?.code !== null) return
  actor.history.count('parts acknowledged after a direct upload')
  noteAcknowledged(actor, upload, index)
}

/** Each asking and each confirmation of a part frees the slot of an earlier address of it. */
function nextTurn({ directTurns }: Uploading['upload'], index: number): void {
  directTurns.set(index, (directTurns.get(index) ?? 0) + 1)
}

const isOver = (media: Uploading, code: string): boolean =>
  code === 'upload_complete' ? media.complete !== 'no' : isEnded(media, code)

/** Other bytes: an address for them is refused for what counts; for what does not, it is kept, to be used too late. */
export async function forgeDirectly(actor: Actor): Promise<void> {
  const { random, history, facts } = actor
  const open = unfinished(actor)
  if (open.length === 0) return
  const media = random.pick(open)
  const index = random.int(Math.ceil(media.content.sizeBytes / PART_BYTES))
  const wasAcknowledged = media.upload.acknowledgedParts.has(index)
  const part = Buffer.from(partOf(media.content, index))
  part.writeUInt8(part.readUInt8(0) ^ 1, 0)
  const isKnown = (): boolean => media.upload.askedParts.has(index)
  const allows = (code: string): boolean => code === 'part_conflict' && isKnown()
  const response = await askAddress(actor, media, { index, part, what: 'forged ', allows })
  if (response?.code !== null || !response.whole) return
  if (response.status === 204) return history.violate(`other bytes are said to be ${media.content.name}/${index}`)
  if (wasAcknowledged) history.violate(`an address was given for other bytes of ${media.content.name}/${index}`)
  const address = directAddress.parse(JSON.parse(response.body.toString()))
  facts.forged.push({ media, index, part, address, untilMs: history.now() + DIRECT_MS })
  await endDirect(actor, address.transferId)
}

/** Bytes at the address they were asked for, once the part counts with others: the store must not take them. */
export async function useForged(actor: Actor): Promise<void> {
  const { facts, history, random } = actor
  const ready = facts.forged.filter(
    ({ media, index, untilMs }) => media.upload?.acknowledgedParts.has(index) && history.now() < untilMs,
  )
  if (ready.length === 0) return
  const { media, index, part, address } = random.pick(ready)
  const isDeleted = (): boolean => media.ended !== 'no'
  const what = `PUT forged at the store ${media.content.name}/${index}`
  const response = await callStore(actor, what, putAt(address, part))
  if (response?.status === 412) history.count('other bytes refused by the store')
  if (response === null || response.status >= 300 || isXml(response) || isDeleted()) return
  history.violate(`other bytes were put in the place of ${media.content.name}/${index}`)
}

const putAt = ({ url, headers }: DirectAddress, body: Buffer) => ({ method: 'PUT', url, headers, body })

/** The parts that hold a range, from the store. */
export async function readDirectly(actor: Actor): Promise<void> {
  const { random } = actor
  const complete = readable(actor).filter(media => media.complete === 'acknowledged')
  if (complete.length === 0) return
  const media = random.pick(complete)
  const start = random.chance(0.5) ? 0 : random.int(media.content.sizeBytes)
  await readAt(actor, {
    media,
    start,
    grant: media.delivered.size > 0 && random.chance(0.4) ? random.pick([...media.delivered]) : null,
  })
}

interface DirectReading {
  readonly media: Reading['media']
  readonly start: number
  readonly grant: string | null
  readonly node?: number
}

/** @returns whether all of it came, and was right */
export async function readAt(
  actor: Actor,
  { media, start, grant, node = actor.aNode() }: DirectReading,
): Promise<boolean> {
  const { history } = actor
  const wasEnded = media.ended === 'acknowledged'
  if (media.maxDownloads !== null && grant === null) media.begun += 1
  const askedAt = history.now()
  const response = await actor.ask({
    method: 'POST',
    path: `/v1/media/${media.mediaId}/direct`,
    what: `POST addresses ${nameOf(media)} from ${start}${grant === null ? '' : ' with a grant'}`,
    headers: { ...JSON_TYPE, ...(grant === null ? {} : { 'sealift-download': grant }) },
    body: Buffer.from(JSON.stringify({ start })),
    node,
    allows: code => isRefusedRightly(media, code),
  })
  if (response?.code !== null || !response.whole) return false
  if (wasEnded) history.violate(`${nameOf(media)} has addresses after its deletion was acknowledged`)
  const read = directRead.parse(JSON.parse(response.body.toString()))
  checkResponse(actor, media, { read, start, headers: response.headers })
  const from = history.now()
  const parts = await Promise.all(read.parts.map(part => getPart(actor, media, part)))
  noteHeld(actor, { direction: 'download', node, start: from, askedAt })
  const bytes = Buffer.concat(parts.map(part => part?.body ?? Buffer.alloc(0)))
  countDelivered(actor, media, { ...response, body: bytes })
  if (actor.isQuiet || actor.random.chance(0.8)) await endDirect(actor, read.transferId)
  return parts.every(part => part?.whole === true)
}

interface Given {
  readonly read: DirectRead
  readonly start: number
  readonly headers: Told['headers']
}

function checkResponse(
  { history }: Actor,
  { content, mediaId }: Reading['media'],
  { read, start, headers }: Given,
): void {
  const name = `${content.name} (${mediaId.slice(0, 5)})`
  if (read.sizeBytes !== content.sizeBytes) history.violate(`${name}: addresses for ${read.sizeBytes} bytes`)
  if (read.parts[0]?.index !== Math.floor(start / PART_BYTES)) history.violate(`${name}: addresses of other parts`)
  content.etag ??= headers.etag ?? null
  if (content.etag !== headers.etag) history.violate(`${name}: its ETag changed`)
}

/** @returns what came of it, right as far as it goes; `null` when the store gave nothing */
async function getPart(
  actor: Actor,
  media: Reading['media'],
  { index, url, headers }: DirectRead['parts'][number],
): Promise<HttpReply | null> {
  const { content } = media
  const what = `GET at the store ${content.name}/${index}`
  const response = await callStore(actor, what, { method: 'GET', url, headers, body: null })
  if (response === null || response.status !== 200 || isXml(response)) return null
  const expected = partOf(content, index)
  const isRight = response.whole
    ? expected.equals(response.body)
    : expected.subarray(0, response.body.length).equals(response.body)
  if (!isRight) actor.history.violate(`${nameOf(media)}: the store has other bytes for part ${index}`)
  if (response.whole) actor.history.count('parts read at the store')
  return response
}

/** An error inside a 200: what clients know by the bytes not opening. */
const isXml = ({ headers }: HttpReply): boolean => headers['content-type'] === 'application/xml'

async function callStore(
  actor: Actor,
  what: string,
  call: Pick<HttpCall, 'method' | 'url' | 'headers' | 'body'>,
): Promise<HttpReply | null> {
  const from = actor.history.now()
  const outcome = await callHttp({ ...call, slowlyMs: null, signal: AbortSignal.timeout(STORE_CALL_MS) }).catch(
    (error: unknown) => {
      if (error instanceof LostCall) return error
      throw error
    },
  )
  const took = `(${(actor.history.now() - from).toFixed(0)} ms from ${from.toFixed(0)})`
  const line = outcome instanceof LostCall ? outcome.message : `${outcome.status}${outcome.whole ? '' : ' cut'}`
  actor.history.note(`${actor.name} ${what} -> ${line} ${took}`)
  return outcome instanceof LostCall ? null : outcome
}

async function endDirect(actor: Actor, transferId: string): Promise<void> {
  await actor.ask({ method: 'DELETE', path: `/v1/direct/${transferId}`, what: 'DELETE direct' })
}

interface Held extends Pick<HeldSpan, 'direction' | 'node' | 'start'> {
  /** When the address was asked for: its slot lapses so long after that at the earliest. */
  readonly askedAt: number
}

/**
 * A slot that was certainly held until now, or until its address expired. A node that is killed, or is idle past
 * its leases, loses the slots that it holds for direct transfers, and nobody can end those.
 */
function noteHeld({ facts, history, client }: Actor, { direction, node, start, askedAt }: Held): void {
  const stopped = history.faults.filter(fault => fault.node === node && (fault.end === null || fault.end > askedAt))
  const end = Math.min(history.now(), askedAt + DIRECT_MS, ...stopped.map(fault => fault.start))
  if (end > start) facts.held.push({ client, direction, node, start, end })
}
