import { basename } from 'node:path'

import { lookup } from 'mime-types'

import { chooseMediaType, HEAD_BYTES } from '../../media-type.ts'
import { openForReading } from './file-source.ts'
import type { WhereFile } from './file-source.ts'

/** Where the common table knows another name than the one in use. */
const USUAL_NAMES: Readonly<Record<string, string>> = { 'audio/x-flac': 'audio/flac', 'video/x-m4v': 'video/mp4' }

/** The media type that a file's ending stands for; only a hint for whoever shows it. */
export function mediaType(name: string): string {
  return typeByName(name) ?? 'application/octet-stream'
}

/**
 * The media type of a file, by its content and its name.
 * @param file where it is; `name` is what it is sent as, by default as the file is named
 * @returns what the name stands for when the file cannot be read, or is not the one that was listed
 */
export async function fileMediaType(file: WhereFile & { readonly name?: string }): Promise<string> {
  const { name = basename(file.path) } = file
  const head = await readHead(file).catch(() => null)
  return head === null ? mediaType(name) : chooseMediaType(head, typeByName(name))
}

/** The media type of what begins with `head`, sent as `name`. */
export function contentMediaType(head: Uint8Array, name: string): Promise<string> {
  return chooseMediaType(head, typeByName(name))
}

function typeByName(name: string): string | null {
  // Without a dot, `lookup` takes the whole name for an ending.
  const known = basename(name).includes('.') && lookup(name)
  return known === false ? null : (USUAL_NAMES[known] ?? known)
}

async function readHead(where: WhereFile): Promise<Uint8Array> {
  await using file = await openForReading(where)
  const { buffer, bytesRead } = await file.read({ buffer: new Uint8Array(HEAD_BYTES), position: 0 })
  return buffer.subarray(0, bytesRead)
}
