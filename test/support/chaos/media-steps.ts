/** What readers and forwarders do with media, and what they must never see. */
import type { Actor, Told } from './actor.ts'
import { bytesOf, type MediaFacts } from './facts.ts'
import { isEnded, newMedia } from './known-uploads.ts'

/** Media that may be read: anyone who knows the id may. */
export function readable({ facts }: Actor): MediaFacts[] {
  return facts.media.filter(media => media.ended !== 'acknowledged')
}

export interface Reading {
  readonly media: MediaFacts
  /** Of bytes, both ends inclusive; `null`: all. */
  readonly range: readonly [first: number, last: number] | null
  readonly grant?: string
  readonly node?: number
  readonly signal?: AbortSignal
  readonly onBytes?: () => void
}

export async function readSome(actor: Actor): Promise<void> {
  const { random } = actor
  const candidates = readable(actor).filter(media => media.complete !== 'no' || media.upload?.acknowledgedParts.size)
  if (candidates.length === 0) return
  const media = random.pick(candidates)
  await readMedia(actor, { media, range: random.chance(0.5) ? aRange(actor, media) : null, ...aGrant(actor, media) })
}

/** More readers at once, over both nodes, than may download it. */
export async function readCounted(actor: Actor): Promise<void> {
  const { random } = actor
  const counted = readable(actor).filter(media => media.maxDownloads !== null && media.complete === 'acknowledged')
  if (counted.length === 0) return
  const media = random.pick(counted)
  const readers = (media.maxDownloads ?? 0) + 1
  await Promise.all(Array.from({ length: readers }, () => readMedia(actor, { media, range: aRange(actor, media) })))
}

/** Sometimes a further request of a download that has begun. */
function aGrant({ random }: Actor, { delivered }: MediaFacts): Pick<Reading, 'grant'> {
  return delivered.size > 0 && random.chance(0.4) ? { grant: random.pick([...delivered]) } : {}
}

function aRange({ random }: Actor, { content }: MediaFacts): [number, number] {
  const first = random.int(content.sizeBytes)
  return [first, first + random.int(content.sizeBytes - first)]
}

/** A media that was deleted and acknowledged as such stays away, whichever node is asked. */
export async function readDeleted(actor: Actor): Promise<void> {
  const gone = actor.facts.media.filter(media => media.ended === 'acknowledged')
  if (gone.length > 0) await readMedia(actor, { media: actor.random.pick(gone), range: null })
}

export async function readMedia(actor: Actor, reading: Reading): Promise<Told | null> {
  const { media, range, grant } = reading
  const wasEnded = media.ended === 'acknowledged'
  const wasComplete = media.complete === 'acknowledged'
  const isCounted = media.maxDownloads !== null && grant === undefined
  if (isCounted) media.begun += 1
  const patience = wasComplete || actor.isQuiet ? undefined : AbortSignal.timeout(300 + actor.random.int(500))
  const told = await actor.ask({
    method: 'GET',
    path: `/v1/media/${media.mediaId}`,
    what: `GET ${nameOf(media)}${range ? ` ${range.join('-')}` : ''}${grant ? ' with a grant' : ''}`,
    headers: {
      ...(range ? { range: `bytes=${range.join('-')}` } : {}),
      ...(grant === undefined ? {} : { 'sealift-download': grant }),
    },
    allows: code => isRefusedRightly(media, code),
    ...(reading.node === undefined ? {} : { node: reading.node }),
    ...(reading.onBytes ? { onBytes: reading.onBytes } : {}),
    ...signalOf(reading.signal ?? patience),
  })
  if (told?.code === null) {
    if (wasEnded) actor.history.violate(`${nameOf(media)} is served after its deletion was acknowledged`)
    checkBytes(actor, reading, told)
    countDelivered(actor, media, told)
  }
  return told
}

const signalOf = (signal: AbortSignal | undefined) => (signal ? { signal } : {})

export function isRefusedRightly(media: MediaFacts, code: string): boolean {
  if (isEnded(media, code)) return true
  // Its bytes may go while it is read; nothing of it may be served then.
  if (code === 'damaged') return media.ended !== 'no'
  if (code === 'downloads_exhausted') return media.maxDownloads !== null && media.begun >= media.maxDownloads
  return false
}

function checkBytes({ history }: Actor, { media, range }: Reading, { status, body, whole, headers }: Told): void {
  const { content, complete } = media
  const name = nameOf(media)
  const start = status === 206 && range ? range[0] : 0
  const expected = bytesOf(content).subarray(start, start + body.length)
  if (!expected.equals(body)) history.violate(`${name}: other bytes were served from ${start} on`)
  if (typeof headers.etag === 'string') {
    content.etag ??= headers.etag
    if (content.etag !== headers.etag) history.violate(`${name}: its ETag changed`)
  }
  if (!whole) return
  history.count('whole responses read')
  const isAll = body.length === content.sizeBytes - start || (range !== null && body.length === range[1] - range[0] + 1)
  // A range of a growing media of unknown size may get a response with a part of it.
  const mayBePart =
    status === 206 && media.upload?.declared === false && String(headers['content-range']).endsWith('/*')
  if (!isAll && !mayBePart) history.violate(`${name}: a short ${status} of ${body.length} bytes looked whole`)
  if (status === 200 && complete === 'no' && media.upload?.declared !== true)
    history.violate(`${name}: its end was served before it was complete`)
}

export function countDelivered(
  { history }: Actor,
  media: MediaFacts,
  { body, headers }: Pick<Told, 'body' | 'headers'>,
): void {
  if (media.maxDownloads === null) return
  const grant = headers['sealift-download']
  if (typeof grant !== 'string') return history.violate(`${nameOf(media)}: a counted download came without a grant`)
  if (body.length === 0) return
  media.delivered.add(grant)
  history.count('counted downloads')
  if (media.delivered.size > media.maxDownloads) {
    history.violate(`${nameOf(media)}: ${media.delivered.size} downloads of ${media.maxDownloads} were delivered`)
  }
}

/** Follows an unfinished upload, as several readers do. */
export async function follow(actor: Actor): Promise<void> {
  const { random } = actor
  const growing = readable(actor).filter(
    each => each.upload?.closingAt === null && each.upload.acknowledgedParts.has(0),
  )
  if (growing.length === 0) return
  const media = random.pick(growing)
  await Promise.all(Array.from({ length: 1 + random.int(3) }, () => followFor(actor, media, 100 + random.int(400))))
}

/** As long as its last part was not asked for, a follower holds a slot. */
async function followFor(actor: Actor, media: MediaFacts, forMs: number): Promise<void> {
  const { facts, history, client } = actor
  const node = actor.aNode()
  const leave = new AbortController()
  const timer = setTimeout(() => leave.abort(), forMs)
  let start: number | null = null
  const onBytes = () => (start ??= history.now())
  const told = await readMedia(actor, { media, range: null, node, signal: leave.signal, onBytes })
  clearTimeout(timer)
  const end = Math.min(history.now(), media.upload?.closingAt ?? Infinity)
  // One that was cut by the server may have lost its slot at any time before.
  if (start === null || !leave.signal.aborted || told?.whole || end <= start) return
  facts.held.push({ client, direction: 'download', node, start, end })
}

export async function info(actor: Actor): Promise<void> {
  const media = readable(actor)
  if (media.length > 0) await infoOf(actor, actor.random.pick(media))
}

/** @returns the state; `null` when it is gone, or nobody knows */
export async function infoOf(actor: Actor, media: MediaFacts, node?: number): Promise<'uploading' | 'complete' | null> {
  const { ended, complete } = media
  const told = await actor.ask({
    method: 'GET',
    path: `/v1/media/${media.mediaId}/info`,
    what: `GET info ${nameOf(media)}`,
    allows: code => isRefusedRightly(media, code),
    ...(node === undefined ? {} : { node }),
  })
  if (told?.code !== null || !told.whole) return null
  const facts = JSON.parse(told.body.toString()) as { state: 'uploading' | 'complete'; sizeBytes?: number }
  if (ended === 'acknowledged') actor.history.violate(`${nameOf(media)} is notified of after its deletion`)
  if (facts.state === 'uploading' && complete === 'acknowledged') {
    actor.history.violate(`${nameOf(media)} is no longer complete`)
  }
  if (facts.state === 'complete' && (media.complete === 'no' || facts.sizeBytes !== media.content.sizeBytes)) {
    actor.history.violate(`${nameOf(media)} is told as complete with ${facts.sizeBytes} bytes`)
  }
  return facts.state
}

export async function forward(actor: Actor): Promise<void> {
  const { facts, client, random } = actor
  // A forward of a counted media shares its count and its end, which the contract tests of forwards check.
  const sources = readable(actor).filter(media => media.complete === 'acknowledged' && media.maxDownloads === null)
  if (sources.length === 0) return
  const source = random.pick(sources)
  const number = facts.next()
  await actor.create({
    key: `${actor.name}-${number}`,
    client,
    path: `/v1/media/${source.mediaId}/leases`,
    headers: { 'content-type': 'application/json' },
    body: () => Buffer.from('{}'),
    refusedRightly: code => isRefusedRightly(source, code),
    made: json => facts.media.push(newMedia((json as { mediaId: string }).mediaId, client, source.content)),
  })
}

export async function deleteSome(actor: Actor): Promise<void> {
  const own = readable(actor).filter(media => media.client === actor.client && !media.inParcel)
  if (own.length > 0) await deleteMedia(actor, actor.random.pick(own))
}

export async function deleteMedia(actor: Actor, media: MediaFacts): Promise<Told | null> {
  if (media.ended === 'no') media.ended = 'asked'
  if (media.upload) media.upload.closingAt ??= actor.history.now()
  const told = await actor.ask({
    method: 'DELETE',
    path: `/v1/media/${media.mediaId}`,
    what: `DELETE ${nameOf(media)}`,
  })
  if (told?.code !== null) return told
  if (media.ended !== 'acknowledged') actor.history.count('deletions acknowledged')
  media.ended = 'acknowledged'
  return told
}

export const nameOf = ({ content, mediaId }: MediaFacts): string => `${content.name} (${mediaId.slice(0, 5)})`
