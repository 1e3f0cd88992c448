/**
 * One sender of the crash tests: it does random things to a server that may die at any moment, and notes what it was
 * told.
 */
import { localAuth } from './local-token.ts'
import { contentOf, partCount, type UploadHistory } from './crash-history.ts'
import { bytesFor, type Random } from './random.ts'

export const PART_BYTES = 256 * 1024

export interface CrashSender {
  readonly url: string
  readonly owner: string
  readonly random: Random
  readonly history: UploadHistory[]
  /**
   * Requests that make something and were never responded: repeated with the same Idempotency-Key after the restart.
   */
  readonly pending: Creation[]
}

/** A POST that makes an upload or a media item, and what its content will be. */
export interface Creation {
  readonly key: string
  readonly whole: boolean
  readonly declared: boolean
  readonly sizeBytes: number
}

/** Runs random steps until `signal` aborts or the server is gone. */
export async function keepSending(sender: CrashSender, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await oneStep(sender, signal)
    } catch (error) {
      // The server was killed: what was asked stays asked, and the audit after its restart decides.
      if (error instanceof RefusedError) throw error
      return
    }
  }
}

async function oneStep(sender: CrashSender, signal: AbortSignal): Promise<void> {
  const { random, history, pending } = sender
  for (const creation of pending.slice()) await create(sender, creation, signal)
  const open = history.filter(
    each => each.complete !== 'acknowledged' && each.aborted === 'no' && each.uploadId !== null,
  )
  const done = history.filter(each => each.complete === 'acknowledged' && each.deleted === 'no')
  if (open.length > 0 && random.chance(0.5)) return finish(sender, random.pick(open), signal)
  if (done.length > 4 && random.chance(0.3)) return remove(sender, random.pick(done), signal)
  return create(sender, newCreation(random), signal)
}

function newCreation(random: Random): Creation {
  return {
    key: `creation-${random.int(2 ** 31)}-${random.int(2 ** 31)}`,
    whole: random.chance(0.3),
    declared: random.chance(0.5),
    sizeBytes: 1 + random.int(5 * PART_BYTES),
  }
}

async function create(sender: CrashSender, creation: Creation, signal: AbortSignal): Promise<void> {
  const { pending, history } = sender
  if (!pending.includes(creation)) pending.push(creation)
  const { key, whole, declared, sizeBytes } = creation
  const response = await (whole
    ? call(sender, 'POST', '/v1/media', { body: bytesFor(key, sizeBytes), key, signal })
    : call(sender, 'POST', '/v1/uploads', { json: declared ? { sizeBytes } : {}, key, signal }))
  const made = (await response.json()) as { uploadId?: string; mediaId: string; partBytes?: number }
  pending.splice(pending.indexOf(creation), 1)
  history.push({
    name: key,
    sizeBytes,
    partBytes: made.partBytes ?? PART_BYTES,
    uploadId: made.uploadId ?? null,
    mediaId: made.mediaId,
    acknowledgedParts: new Set(),
    complete: whole ? 'acknowledged' : 'no',
    aborted: 'no',
    deleted: 'no',
  })
}

async function finish(sender: CrashSender, upload: UploadHistory, signal: AbortSignal): Promise<void> {
  if (upload.complete === 'no' && sender.random.chance(0.1)) return giveUp(sender, upload, signal)
  const missing = Array.from({ length: partCount(upload) }, (_, index) => index).filter(
    index => !upload.acknowledgedParts.has(index),
  )
  await Promise.all(sender.random.shuffle(missing).map(index => putPart(sender, upload, index, signal)))
  upload.complete = 'asked'
  await call(sender, 'POST', `/v1/uploads/${upload.uploadId}/complete`, {
    json: { sizeBytes: upload.sizeBytes },
    signal,
  })
  upload.complete = 'acknowledged'
}

async function putPart(sender: CrashSender, upload: UploadHistory, index: number, signal: AbortSignal): Promise<void> {
  const start = index * upload.partBytes
  const body = contentOf(upload).subarray(start, Math.min(start + upload.partBytes, upload.sizeBytes))
  // Asked to complete before the crash: then no part is taken any more, and none is missing.
  if (upload.complete !== 'no') return
  await call(sender, 'PUT', `/v1/uploads/${upload.uploadId}/parts/${index}`, { body, signal })
  upload.acknowledgedParts.add(index)
}

async function giveUp(sender: CrashSender, upload: UploadHistory, signal: AbortSignal): Promise<void> {
  upload.aborted = 'asked'
  await call(sender, 'DELETE', `/v1/uploads/${upload.uploadId}`, { signal })
  upload.aborted = 'acknowledged'
}

async function remove(sender: CrashSender, upload: UploadHistory, signal: AbortSignal): Promise<void> {
  upload.deleted = 'asked'
  await call(sender, 'DELETE', `/v1/media/${upload.mediaId}`, { signal })
  upload.deleted = 'acknowledged'
}

/** Ends everything that is still there, so that nothing may be left afterwards. */
export async function endEverything(sender: CrashSender): Promise<void> {
  const signal = AbortSignal.timeout(60_000)
  for (const creation of sender.pending.slice()) await create(sender, creation, signal)
  for (const upload of sender.history) {
    const path = `/v1/media/${upload.mediaId}`
    const response = await fetch(`${sender.url}${path}`, {
      method: 'DELETE',
      headers: { 'sealift-owner': sender.owner },
      signal,
    })
    if (![204, 404, 410].includes(response.status)) throw new Error(`DELETE ${path} responded ${response.status}`)
    if (upload.uploadId !== null)
      await fetch(`${sender.url}/v1/uploads/${upload.uploadId}`, {
        method: 'DELETE',
        headers: localAuth(sender.url),
        signal,
      }).then(each => each.text())
  }
}

async function call(
  sender: CrashSender,
  method: string,
  path: string,
  request: { json?: unknown; body?: Uint8Array<ArrayBuffer>; key?: string; signal: AbortSignal },
): Promise<Response> {
  const response = await fetch(`${sender.url}${path}`, {
    method,
    headers: {
      ...localAuth(sender.url),
      'sealift-owner': sender.owner,
      ...(request.key === undefined ? {} : { 'idempotency-key': request.key }),
      ...(request.json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(request.body === undefined ? {} : { 'content-type': 'application/octet-stream' }),
    },
    ...(request.json === undefined ? {} : { body: JSON.stringify(request.json) }),
    ...(request.body === undefined ? {} : { body: request.body }),
    signal: request.signal,
  })
  if (!response.ok) {
    const text = await response.text()
    // A refusal is the server's response, not a crash: the model is wrong about what it may ask, and must be seen.
    throw new RefusedError(`${method} ${path} responded ${response.status}: ${text}`)
  }
  return response
}

export class RefusedError extends Error {}
