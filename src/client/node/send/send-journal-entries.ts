/** What the journal of an earlier process says of a send: see `send-journal.ts`. */
import * as z from 'zod'

import { fromBase64Url } from '../../bytes/base64url.ts'
import { sealedMediaSchema } from '../../manifest/manifest-schema.ts'
import type { SealedMedia } from '../../manifest/manifest.ts'
import type {
  JournaledUpload,
  ParcelSecrets,
  SealedThing,
  SealingSecrets,
  SendJournal,
} from '../../send/send-journal.ts'
import type { FileStamp } from '../files/file-source.ts'
import { LineJournal, isRunning, processIdentitySchema } from '../state/line-journal.ts'

/** Older journals are not gone on with: the server drops unfinished uploads after a day. */
const MAX_AGE_MS = 20 * 3_600_000

const stampSchema = z.object({
  size: z.int(),
  mtimeNs: z.string(),
  ctimeNs: z.string(),
  ino: z.string(),
  dev: z.string(),
  settled: z.boolean(),
})

const uploadSchema = z.object({
  uploadId: z.string(),
  mediaId: z.string(),
  partBytes: z.int().min(1),
  chunkBytes: z.int().min(1),
})

/** What an entry is about; without `thing`, the item's bytes as they are. */
const placeFields = { item: z.int(), thing: z.string().startsWith('made/').max(100).optional() }

const entrySchema = z.union([
  z.object({ send: z.literal(1), createdAt: z.number(), owner: z.string(), manifestKey: z.string() }),
  z.object({ process: processIdentitySchema.nullable() }),
  z.object({ published: z.object({ parcelId: z.string(), expiresAt: z.string() }) }),
  z.object({ covered: z.array(z.string()) }),
  z.object({
    ...placeFields,
    stamp: stampSchema,
    boot: z.string(),
    key: z.string(),
    salt: z.string(),
    noncePrefix: z.string(),
    idempotencyKey: z.string(),
  }),
  z.object({ ...placeFields, upload: uploadSchema }),
  z.object({ ...placeFields, part: z.int(), fingerprint: z.string() }),
  z.object({ ...placeFields, stored: sealedMediaSchema }),
])

type Entry = z.infer<typeof entrySchema>

/** One thing of a send among all that are sealed of it. */
export function keyOf(index: number, thing: SealedThing): string {
  return `${thing}@${index}`
}

export interface RecalledItem {
  readonly index: number
  readonly thing: SealedThing
  readonly secrets: SealingSecrets
  readonly stamp: FileStamp
  readonly boot: string
  upload: JournaledUpload | null
  stored: SealedMedia | null
  readonly parts: Map<number, string>
}

export interface Recalled {
  readonly parcel: ParcelSecrets
  published: SendJournal['published']
  /** By that parcel. */
  readonly covered: Set<string>
  readonly items: Map<string, RecalledItem>
}

/** What can be gone on with; `busy`: another process is at it right now; `null`: nothing. */
export async function recall(path: string): Promise<Recalled | 'busy' | null> {
  const entries = (await LineJournal.read(path)).flatMap(line => entrySchema.safeParse(line).data ?? [])
  const holder = entries.findLast(entry => 'process' in entry)?.process
  if (holder && (await isRunning(holder))) return 'busy'
  const head = entries[0]
  if (!head || !('send' in head) || Date.now() - head.createdAt > MAX_AGE_MS) return null
  const manifestKey = fromBase64Url(head.manifestKey)
  if (!manifestKey) return null
  const parcel = { owner: head.owner, manifestKey }
  const recalled: Recalled = { parcel, published: null, covered: new Set(), items: new Map() }
  for (const entry of entries) apply(recalled, entry)
  return recalled
}

function apply(recalled: Recalled, entry: Entry): void {
  if ('published' in entry) {
    recalled.published = entry.published
    recalled.covered.clear()
  }
  if ('covered' in entry) for (const media of entry.covered) recalled.covered.add(media)
  if (!('item' in entry)) return
  const thing = (entry.thing ?? 'item') as SealedThing
  const key = keyOf(entry.item, thing)
  if ('key' in entry) {
    const secrets = secretsOf(entry)
    const { stamp, boot } = entry
    const fresh = { secrets, stamp, boot, upload: null, stored: null, parts: new Map() }
    if (secrets) recalled.items.set(key, { ...fresh, secrets, index: entry.item, thing })
    return
  }
  const item = recalled.items.get(key)
  if (!item) return
  if ('upload' in entry) item.upload = entry.upload
  else if ('stored' in entry) item.stored = entry.stored
  else item.parts.set(entry.part, entry.fingerprint)
}

function secretsOf(entry: { key: string; salt: string; noncePrefix: string; idempotencyKey: string }) {
  const [key, salt, noncePrefix] = [entry.key, entry.salt, entry.noncePrefix].map(fromBase64Url)
  if (!key || !salt || !noncePrefix) return null
  return { key, salt, noncePrefix, idempotencyKey: entry.idempotencyKey }
}
