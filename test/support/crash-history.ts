/**
 * What a sender was told, so that it can be held against what a restarted server says. Only acknowledged facts bind the
 * server; what was asked but never responded may have happened or not, but never by half.
 */
import { createHash } from 'node:crypto'

import { expect } from 'vitest'

import { localAuth } from './local-token.ts'
import { bytesFor } from './random.ts'

export type Told = 'no' | 'asked' | 'acknowledged'

export interface UploadHistory {
  readonly name: string
  readonly sizeBytes: number
  readonly partBytes: number
  readonly uploadId: string | null
  readonly mediaId: string
  readonly acknowledgedParts: Set<number>
  complete: Told
  aborted: Told
  deleted: Told
}

export const contentOf = (upload: UploadHistory): Buffer<ArrayBuffer> => bytesFor(upload.name, upload.sizeBytes)

export const partCount = (upload: UploadHistory): number => Math.ceil(upload.sizeBytes / upload.partBytes)

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Fails when the server at `url` contradicts anything it has acknowledged, or serves anything by half. */
export async function audit(url: string, history: readonly UploadHistory[]): Promise<void> {
  for (const upload of history) await auditOne(url, upload)
}

async function auditOne(url: string, upload: UploadHistory): Promise<void> {
  if (upload.deleted === 'acknowledged' || upload.aborted === 'acknowledged') {
    const response = await fetch(`${url}/v1/media/${upload.mediaId}`)
    await response.arrayBuffer()
    expect([404, 410], `${upload.name}: ended, yet responded`).toContain(response.status)
    return
  }
  const info = await fetch(`${url}/v1/media/${upload.mediaId}/info`, { headers: localAuth(url) })
  const facts = (await info.json()) as { state?: string; sizeBytes?: number }
  if (upload.deleted === 'asked' || upload.aborted === 'asked') {
    if (info.status !== 200) return
  }
  expect(info.status, `${upload.name}: acknowledged, yet ${JSON.stringify(facts)}`).toBe(200)
  if (upload.complete === 'acknowledged') expect(facts.state, upload.name).toBe('complete')
  if (facts.state === 'complete') await auditComplete(url, upload)
  else await auditUnfinished(url, upload)
}

async function auditComplete(url: string, upload: UploadHistory): Promise<void> {
  expect(upload.complete, `${upload.name}: complete, yet never asked to be`).not.toBe('no')
  const response = await fetch(`${url}/v1/media/${upload.mediaId}`)
  expect(response.status, upload.name).toBe(200)
  expect(sha256(new Uint8Array(await response.arrayBuffer())), upload.name).toBe(sha256(contentOf(upload)))
}

async function auditUnfinished(url: string, upload: UploadHistory): Promise<void> {
  if (upload.uploadId === null) throw new Error(`${upload.name}: a one-request media is served unfinished`)
  const response = await fetch(`${url}/v1/uploads/${upload.uploadId}`, { headers: localAuth(url) })
  const status = (await response.json()) as { parts: [number, number][] }
  expect(response.status, upload.name).toBe(200)
  const durable = new Set(status.parts.flatMap(([first, last]) => range(first, last)))
  for (const index of upload.acknowledgedParts)
    expect(durable, `${upload.name}: part ${index} was acknowledged`).toContain(index)
  if (durable.has(0)) await auditPrefix(url, upload)
}

/** The first bytes of an unfinished media are already served: they must be the right ones. */
async function auditPrefix(url: string, upload: UploadHistory): Promise<void> {
  const end = Math.min(upload.partBytes, upload.sizeBytes) - 1
  const response = await fetch(`${url}/v1/media/${upload.mediaId}`, { headers: { range: `bytes=0-${end}` } })
  expect(response.status, upload.name).toBe(206)
  const bytes = new Uint8Array(await response.arrayBuffer())
  expect(sha256(bytes), upload.name).toBe(sha256(contentOf(upload).subarray(0, bytes.byteLength)))
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, offset) => first + offset)
}
