/** The one folder a benchmark writes into; it goes when the benchmark ends. */
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { once } from 'node:events'

import { randomFill } from './random.ts'

export interface Workspace extends AsyncDisposable {
  readonly root: string
  /** A new, empty folder. */
  folder(name: string): Promise<string>
  readonly freeBytes: number
}

export async function openWorkspace(parent: string): Promise<Workspace> {
  await mkdir(parent, { recursive: true })
  const root = await mkdtemp(join(parent, 'sealift-bench-'))
  const disk = await statfs(root)
  let folders = 0
  return {
    root,
    freeBytes: disk.bavail * disk.bsize,
    async folder(name) {
      const path = join(root, `${name}-${folders++}`)
      await mkdir(path)
      return path
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true, maxRetries: 3 }),
  }
}

const BLOCK_BYTES = 8 * 1024 * 1024

/** Writes a file of `sizeBytes` that no file system can compress, and leaves it in the page cache, synced. */
export async function writeRandomFile(path: string, sizeBytes: number, seed: number): Promise<void> {
  const block = randomFill(Math.min(BLOCK_BYTES, sizeBytes), seed)
  const file = createWriteStream(path)
  for (let written = 0; written < sizeBytes; written += block.length) {
    block.writeUInt32LE(written / BLOCK_BYTES, 0)
    if (!file.write(Buffer.from(block.subarray(0, sizeBytes - written)))) await once(file, 'drain')
  }
  file.end()
  await once(file, 'close')
  await using handle = await open(path)
  await handle.sync()
}
