/** Parcels: versions only grow, one writer wins each, and an end ends all that they cover. */
import { bytesFor } from '../random.ts'
import type { Actor, Told } from './actor.ts'
import { type MediaFacts, newestAcknowledged, type ParcelRecord } from './facts.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

export async function publish(actor: Actor): Promise<void> {
  const { facts, client, random, history } = actor
  const number = facts.next()
  const manifest = bytesFor(`manifest-${actor.name}-${number}`, 64 + random.int(2000))
  const media = ownMedia(actor).slice(0, random.int(3))
  for (const each of media) each.inParcel = true
  await actor.create({
    key: `${actor.name}-${number}`,
    client,
    path: '/v1/parcels',
    headers: JSON_TYPE,
    body: () => bodyOf(manifest, media),
    refusedRightly: code => code === 'not_found' && media.some(each => each.ended !== 'no'),
    made(json) {
      const { parcelId, version } = json as { parcelId: string; version: number }
      if (version !== 1) history.violate(`parcel ${number} began with version ${version}`)
      const asked = new Map([[1, [manifest]]])
      facts.parcels.push({ parcelId, client, media, asked, acknowledged: new Map([[1, manifest]]), ended: 'no' })
      history.count('parcels published')
    },
  })
}

function ownMedia({ facts, client, random }: Actor): MediaFacts[] {
  const own = facts.media.filter(each => each.client === client && each.ended === 'no' && !each.inParcel)
  return random.shuffle(own.filter(each => each.complete === 'acknowledged'))
}

function bodyOf(manifest: Buffer, media: readonly MediaFacts[]): Buffer {
  return Buffer.from(
    JSON.stringify({ manifest: manifest.toString('base64url'), media: media.map(each => each.mediaId) }),
  )
}

const open = ({ facts }: Actor): ParcelRecord[] => facts.parcels.filter(parcel => parcel.ended !== 'acknowledged')

export async function replace(actor: Actor): Promise<void> {
  const own = open(actor).filter(parcel => parcel.client === actor.client)
  if (own.length === 0) return publish(actor)
  const parcel = actor.random.pick(own)
  const ifVersion = newestAcknowledged(parcel)
  const version = ifVersion + 1
  const manifest = bytesFor(`manifest-${actor.name}-${actor.facts.next()}`, 64 + actor.random.int(2000))
  const asked = parcel.asked.get(version) ?? []
  parcel.asked.set(version, asked)
  asked.push(manifest)
  const told = await actor.ask({
    method: 'PUT',
    path: `/v1/parcels/${parcel.parcelId}/manifest`,
    what: `PUT parcel ${parcel.parcelId.slice(0, 5)} version ${version}`,
    headers: { ...JSON_TYPE, 'if-match': `"${ifVersion}"` },
    body: bodyOf(manifest, parcel.media),
    allows: code => (code === 'version_mismatch' ? asked.length > 1 : isEnded(parcel, code)),
  })
  if (told?.code === 'version_mismatch') return void (await readParcel(actor, parcel))
  if (told?.code === null && told.whole) acknowledge(actor, parcel, { version, manifest, told })
}

function acknowledge(
  { history }: Actor,
  parcel: ParcelRecord,
  { version, manifest, told }: { readonly version: number; readonly manifest: Buffer; readonly told: Told },
): void {
  const responded = (JSON.parse(told.body.toString()) as { version: number }).version
  if (responded !== version) history.violate(`version ${version} of a parcel gets a response as ${responded}`)
  const other = parcel.acknowledged.get(version)
  if (other && !other.equals(manifest)) history.violate(`version ${version} of a parcel was given twice`)
  parcel.acknowledged.set(version, manifest)
  history.count('manifests replaced')
}

const isEnded = (parcel: ParcelRecord, code: string): boolean =>
  (code === 'gone' || code === 'not_found') && parcel.ended !== 'no'

export async function readSomeParcel(actor: Actor): Promise<void> {
  const { facts, random } = actor
  if (facts.parcels.length > 0) await readParcel(actor, random.pick(facts.parcels))
}

/** @returns whether it is there; `null` when nobody knows */
export async function readParcel(actor: Actor, parcel: ParcelRecord, node?: number): Promise<boolean | null> {
  const wasEnded = parcel.ended === 'acknowledged'
  const newest = newestAcknowledged(parcel)
  const told = await actor.ask({
    method: 'GET',
    path: `/v1/parcels/${parcel.parcelId}`,
    what: `GET parcel ${parcel.parcelId.slice(0, 5)}`,
    allows: code => isEnded(parcel, code),
    ...(node === undefined ? {} : { node }),
  })
  if (told === null || !told.whole) return null
  if (told.code !== null) return isEnded(parcel, told.code) ? false : null
  if (wasEnded) actor.history.violate('a parcel is served after its end was acknowledged')
  checkVersion(actor, parcel, { newest, told })
  return true
}

function checkVersion(
  { history }: Actor,
  parcel: ParcelRecord,
  { newest, told }: { readonly newest: number; readonly told: Told },
): void {
  const version = Number(told.headers['sealift-version'])
  if (version < newest) history.violate(`a parcel went back from version ${newest} to ${version}`)
  const won = parcel.acknowledged.get(version)
  const candidates = won ? [won] : (parcel.asked.get(version) ?? [])
  const manifest = candidates.find(each => each.equals(told.body))
  if (!manifest) return history.violate(`version ${version} of a parcel has a manifest that nobody sent for it`)
  // Read by anyone, it stays; the one whose response was lost won.
  parcel.acknowledged.set(version, manifest)
}

export async function endSomeParcel(actor: Actor): Promise<void> {
  const own = open(actor).filter(parcel => parcel.client === actor.client)
  if (own.length > 0) await endParcel(actor, actor.random.pick(own))
}

export async function endParcel(actor: Actor, parcel: ParcelRecord): Promise<void> {
  if (parcel.ended === 'no') parcel.ended = 'asked'
  for (const media of parcel.media) if (media.ended === 'no') media.ended = 'asked'
  const told = await actor.ask({
    method: 'DELETE',
    path: `/v1/parcels/${parcel.parcelId}`,
    what: `DELETE parcel ${parcel.parcelId.slice(0, 5)}`,
  })
  if (told?.code !== null) return
  parcel.ended = 'acknowledged'
  for (const media of parcel.media) media.ended = 'acknowledged'
}
