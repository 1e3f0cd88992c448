/**
 * A data directory on a disk of its own that is small enough to fill: a tmpfs in a private mount namespace of the
 * server's process. Needs no root where user namespaces are allowed.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const UNSHARE = ['unshare', ...(process.getuid?.() === 0 ? ['-m'] : ['-Urm'])]

/** Put before a command: it then sees an empty disk of `sizeMiB` at `directory`. */
export function onSmallDisk(directory: string, sizeMiB: number): string[] {
  const mount = `mount -t tmpfs -o size=${sizeMiB}m tmpfs "$0" && exec "$@"`
  return [...UNSHARE, 'sh', '-c', mount, directory]
}

/** True where this can be done at all. */
export function canMountSmallDisk(): boolean {
  return spawnSync(UNSHARE[0] ?? 'unshare', [...UNSHARE.slice(1), 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
}

/**
 * Takes all the room that is left on the disk that process `pid` sees at `directory`. Dispose it to give the room
 * back.
 */
export function fillDisk(pid: number, directory: string): Disposable {
  const ballast = join(`/proc/${pid}/root`, directory, 'ballast')
  const file = openSync(ballast, 'w')
  for (const size of [1 << 20, 4096, 1]) {
    try {
      const block = Buffer.alloc(size)
      while (writeSync(file, block) === size);
    } catch {
      // No block of this size fits any more.
    }
  }
  closeSync(file)
  return { [Symbol.dispose]: () => rmSync(ballast, { force: true }) }
}
