/** What tests of the SDK share: content that tells where it belongs, sinks, folders. */
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createSealift } from '../../src/client/node/index.ts'
import type {
  FileItem,
  NodeSealift,
  NodeSealiftOptions,
  Parcel,
  ParcelItem,
  RandomSink,
} from '../../src/client/node/index.ts'
import { release } from '../../src/client/bytes/buffers.ts'
import { localTokenOf } from './local-token.ts'
import { bytesFor } from './random.ts'

/** Repeats without the pauses that people would not notice, but tests would. */
export const QUICK_RETRY = { baseMs: 20, capMs: 200, patienceMs: 20_000 }

/** A client whose state lies in `home`, and that is the user of a server of these tests. */
export function clientIn(home: string, options: NodeSealiftOptions = {}): NodeSealift {
  const token = options.server === undefined ? null : localTokenOf(options.server)
  const local = token === null ? {} : { token }
  return createSealift({ stateDirectory: join(home, 'state'), retry: QUICK_RETRY, ...local, ...options })
}

/** Bytes that only this name and length have. */
export function content(name: string, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytesFor(name, length))
}

export async function writeFiles(folder: string, sizes: Readonly<Record<string, number>>): Promise<FileItem[]> {
  const items: FileItem[] = []
  for (const [name, size] of Object.entries(sizes)) {
    const path = join(folder, name)
    await writeFile(path, content(name, size))
    items.push({ name, path })
  }
  return items
}

/** Length and SHA-256 of every file below a folder, hidden ones too, by relative path. */
export async function digests(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    found[path.slice(folder.length + 1)] = digest(await readFile(path))
  }
  return found
}

export function digest(bytes: Uint8Array): string {
  return `${bytes.byteLength}/${createHash('sha256').update(bytes).digest('hex')}`
}

/** A sink in memory. What it is given is its own, so it detaches it: nobody may look at it afterwards. */
export class MemorySink implements RandomSink {
  bytes = new Uint8Array(0)

  write(bytes: Uint8Array<ArrayBuffer>, position: number): Promise<void> {
    const end = position + bytes.byteLength
    if (end > this.bytes.byteLength) {
      const grown = new Uint8Array(end)
      grown.set(this.bytes)
      this.bytes = grown
    }
    this.bytes.set(bytes, position)
    release(bytes)
    return Promise.resolve()
  }
}

/** A stream of `bytes` in pieces of `pieceBytes`. */
export function streamed(bytes: Uint8Array<ArrayBuffer>, pieceBytes: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) return controller.close()
      controller.enqueue(bytes.subarray(at, at + pieceBytes))
      at += pieceBytes
    },
  })
}

/** The first item of a parcel. */
export function only(parcel: Parcel): ParcelItem {
  const [item] = parcel.items
  if (!item) throw new Error('The parcel is empty')
  return item
}
