/** What a sender does: uploads by parts in any order, over both nodes, and in one request. */
import type { Actor } from './actor.ts'
import { putDirectly } from './direct-steps.ts'
import { bytesOf, type Content, PART_BYTES, partOf, partsOf, type UploadFacts } from './facts.ts'
import { isEnded, newMedia, noteAcknowledged, unfinished, type Uploading } from './known-uploads.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const BYTES_TYPE = { 'content-type': 'application/octet-stream' }

function newContent(actor: Actor, parts: number): Content {
  const sizeBytes = 1 + actor.random.int(parts * PART_BYTES)
  return { name: `${actor.name}-${actor.facts.next()}`, sizeBytes, etag: null }
}

interface Made {
  readonly mediaId: string
  readonly uploadId?: string
  readonly sizeBytes?: number
}

export async function begin(actor: Actor): Promise<void> {
  const { random, facts, client } = actor
  const content = newContent(actor, 8)
  const declared = random.chance(0.5)
  const maxDownloads = random.chance(0.2) ? 1 + random.int(3) : null
  const request = { ...(declared ? { sizeBytes: content.sizeBytes } : {}), ...(maxDownloads ? { maxDownloads } : {}) }
  await actor.create({
    key: content.name,
    client,
    path: '/v1/uploads',
    headers: JSON_TYPE,
    body: () => Buffer.from(JSON.stringify(request)),
    refusedRightly: () => false,
    made(json) {
      const { mediaId, uploadId = '' } = json as Made
      const upload = {
        uploadId,
        declared,
        askedParts: new Set<number>(),
        acknowledgedParts: new Set<number>(),
        directTurns: new Map<number, number>(),
        closingAt: null,
      }
      facts.media.push({ ...newMedia(mediaId, client, content), upload, maxDownloads, complete: 'no' })
    },
  })
}

export async function storeMedia(actor: Actor): Promise<void> {
  const { random, facts, client, history } = actor
  const content = newContent(actor, 3)
  const maxDownloads = random.chance(0.4) ? 1 + random.int(3) : null
  await actor.create({
    key: content.name,
    client,
    path: `/v1/media${maxDownloads === null ? '' : `?maxDownloads=${maxDownloads}`}`,
    headers: BYTES_TYPE,
    body: () => bytesOf(content),
    refusedRightly: () => false,
    made(json) {
      const { mediaId, sizeBytes } = json as Made
      if (sizeBytes !== content.sizeBytes) history.violate(`${content.name} was stored with ${sizeBytes} bytes`)
      facts.media.push({ ...newMedia(mediaId, client, content), maxDownloads })
      history.count('media complete')
    },
  })
}

/** Some missing parts in any order and in parallel, some that are there already, some twice at once. */
export async function putSome(actor: Actor): Promise<void> {
  const { random } = actor
  const open = unfinished(actor)
  if (open.length === 0) return begin(actor)
  const media = random.pick(open)
  const { acknowledgedParts } = media.upload
  const all = random.shuffle(Array.from({ length: partsOf(media.content) }, (_, index) => index))
  const missing = all.filter(index => !acknowledgedParts.has(index)).slice(0, 1 + random.int(5))
  const again = all.filter(index => acknowledgedParts.has(index)).slice(0, random.chance(0.3) ? 1 : 0)
  const twice = missing.slice(0, random.chance(0.15) ? 1 : 0)
  await Promise.all([...missing, ...again, ...twice].map(index => putPart(actor, media, index)))
  if (partsOf(media.content) === acknowledgedParts.size && random.chance(0.7)) await complete(actor, media)
}

async function putPart(actor: Actor, media: Uploading, index: number): Promise<void> {
  const { random, history, facts, client } = actor
  const { upload, content } = media
  upload.askedParts.add(index)
  if (upload.askedParts.size === partsOf(content)) close(actor, upload)
  if (random.chance(0.35)) return putDirectly(actor, media, index)
  const node = actor.aNode()
  let start: number | null = null
  let end = 0
  const told = await actor.ask({
    method: 'PUT',
    path: `/v1/uploads/${upload.uploadId}/parts/${index}`,
    what: `PUT ${content.name}/${index}`,
    headers: BYTES_TYPE,
    body: partOf(content, index),
    slowlyMs: random.chance(0.7) ? 50 + random.int(250) : null,
    node,
    onContinue: () => (start = history.now()),
    onLastPiece: () => (end = history.now()),
    allows: code => (code === 'upload_complete' ? media.complete !== 'no' : isEnded(media, code)),
  })
  if (told?.code !== null) return
  noteAcknowledged(actor, upload, index)
  if (start !== null) facts.held.push({ client, direction: 'upload', node, start, end })
}

function close({ history }: Actor, upload: UploadFacts): void {
  upload.closingAt ??= history.now()
}

/** Other bytes for a part that was acknowledged: refused, or the upload is over. */
export async function forgePart(actor: Actor): Promise<void> {
  const { random, history } = actor
  const open = unfinished(actor).filter(each => each.upload.acknowledgedParts.size > 0)
  if (open.length === 0) return
  const media = random.pick(open)
  const index = random.pick([...media.upload.acknowledgedParts])
  const body = Buffer.from(partOf(media.content, index))
  body.writeUInt8(body.readUInt8(0) ^ 1, 0)
  const told = await actor.ask({
    method: 'PUT',
    path: `/v1/uploads/${media.upload.uploadId}/parts/${index}`,
    what: `PUT forged ${media.content.name}/${index}`,
    headers: BYTES_TYPE,
    body,
    allows: code => code === 'part_conflict' || code === 'upload_complete' || isEnded(media, code),
  })
  if (told?.code === null) history.violate(`other bytes were taken for ${media.content.name}/${index}`)
}

export async function completeSome(actor: Actor): Promise<void> {
  const open = unfinished(actor)
  if (open.length > 0) await complete(actor, actor.random.pick(open))
}

/** Also too early, and again when the response was lost. */
async function complete(actor: Actor, media: Uploading): Promise<void> {
  const { upload, content } = media
  const wasWhole = upload.acknowledgedParts.size === partsOf(content)
  if (media.complete === 'no') media.complete = 'asked'
  close(actor, upload)
  const told = await actor.ask({
    method: 'POST',
    path: `/v1/uploads/${upload.uploadId}/complete`,
    what: `POST complete ${content.name}`,
    headers: JSON_TYPE,
    body: Buffer.from(JSON.stringify({ sizeBytes: content.sizeBytes })),
    allows: code => (code === 'parts_missing' ? !wasWhole : isEnded(media, code)),
  })
  if (told?.code !== null || !told.whole) return
  const { state, sizeBytes } = JSON.parse(told.body.toString()) as { state: string; sizeBytes: number }
  if (state !== 'complete' || sizeBytes !== content.sizeBytes) {
    actor.history.violate(`complete of ${content.name} gets a response with ${state}, ${sizeBytes} bytes`)
  }
  media.complete = 'acknowledged'
  actor.history.count('media complete')
}

export async function abortSome(actor: Actor): Promise<void> {
  const open = unfinished(actor)
  if (open.length === 0) return
  const media = actor.random.pick(open)
  await abort(actor, media)
}

async function abort(actor: Actor, media: Uploading): Promise<void> {
  const { upload, content } = media
  const couldBeComplete = media.complete !== 'no'
  if (media.ended === 'no') media.ended = 'asked'
  close(actor, upload)
  const told = await actor.ask({
    method: 'DELETE',
    path: `/v1/uploads/${upload.uploadId}`,
    what: `DELETE upload ${content.name}`,
    allows: code => code === 'upload_complete' && (couldBeComplete || media.complete !== 'no'),
  })
  if (told?.code === null) media.ended = 'acknowledged'
}

/** What was acknowledged must be told as durable, always. */
export async function status(actor: Actor): Promise<void> {
  const open = unfinished(actor)
  if (open.length === 0) return
  await statusOf(actor, actor.random.pick(open))
}

export async function statusOf(actor: Actor, media: Uploading, node?: number): Promise<void> {
  const { upload, content } = media
  const acknowledged = [...upload.acknowledgedParts]
  const told = await actor.ask({
    method: 'GET',
    path: `/v1/uploads/${upload.uploadId}`,
    what: `GET upload ${content.name}`,
    allows: code => isEnded(media, code),
    ...(node === undefined ? {} : { node }),
  })
  if (told?.code !== null || !told.whole) return
  const { parts, state } = JSON.parse(told.body.toString()) as { parts: [number, number][]; state: string }
  const isDurable = (index: number): boolean => parts.some(([first, last]) => first <= index && index <= last)
  const lost = acknowledged.filter(index => !isDurable(index))
  if (lost.length > 0) actor.history.violate(`acknowledged parts ${lost.join(', ')} of ${content.name} are not durable`)
  if (state === 'complete' && media.complete === 'no') actor.history.violate(`${content.name} is complete by itself`)
}
