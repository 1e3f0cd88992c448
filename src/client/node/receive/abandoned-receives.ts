import { readdir, realpath, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'

import { isRunning } from '../state/process-identity.ts'
import { readReceive } from './receive-journal-entries.ts'
import { journalPath, RECEIVES, removePartials } from './receive-journal.ts'
import { stateFolder } from '../state/state-directory.ts'

/** A receive that was not gone on with for so long is given up. */
const MAX_AGE_MS = 30 * 86_400_000

/** Deletes what receives that were given up have left: their partial files, in whatever folder, and their journals. */
export async function removeOldReceives(stateDirectory: string, nowMs: number): Promise<void> {
  const folder = await stateFolder(stateDirectory, RECEIVES)
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await stat(path).catch(() => null)
    if (found && nowMs - found.mtimeMs > MAX_AGE_MS) await removeReceive(path)
  }
}

/** Deletes what an earlier receive of a link has left in a folder: the link ended, and nothing can be gone on with. */
export async function forgetReceive(stateDirectory: string, directory: string, link: string): Promise<void> {
  const root = await realpath(resolve(directory)).catch(() => null)
  if (root !== null) await removeReceive(await journalPath(stateDirectory, root, link))
}

async function removeReceive(path: string): Promise<void> {
  const { directory, holder, partials } = await readReceive(path)
  if (holder && (await isRunning(holder))) return
  if (directory !== null) await removePartials(directory, partials)
  await rm(path, { force: true })
}
