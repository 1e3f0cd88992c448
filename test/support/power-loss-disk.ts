/**
 * A disk in memory that forgets, when the power goes, whatever was not synced: contents by `sync` of the file, names by
 * `sync` of the folder that holds them, in any mixture the kernel might have chosen. Only a rename is whole, as on
 * every file system with a journal: the file has its old name or its new one, or both, never none.
 */
import type { FileSystem, OpenFile } from '../../src/server/blobs/file/file-system.ts'
import type { Random } from './random.ts'
import { kernelError } from './hooked-file-system.ts'

const PAGE_BYTES = 4096

interface File {
  readonly kind: 'file'
  now: Buffer
  synced: Buffer
}

interface Folder {
  readonly kind: 'folder'
  readonly now: Map<string, Entry>
  synced: Map<string, Entry>
}

type Entry = File | Folder

/** Where a file was before it was renamed, and where it went. */
interface Rename {
  readonly from: { readonly folder: Folder; readonly name: string }
  readonly to: { readonly folder: Folder; readonly name: string }
  readonly entry: Entry
}

const newFolder = (): Folder => ({ kind: 'folder', now: new Map(), synced: new Map() })

export interface PowerLossDisk extends FileSystem {
  /** What may be there when the power is back. */
  afterPowerLoss(random: Random): PowerLossDisk
}

export interface PowerLossOptions {
  /** False: every sync is a lie, as on a disk that must fail the tests made with it. */
  readonly honest: boolean
  /** How long a sync takes; what is written meanwhile is not part of it. */
  readonly pause?: () => Promise<void>
}

export function powerLossDisk(options: PowerLossOptions, root: Folder = newFolder()): PowerLossDisk {
  const { honest, pause = async () => undefined } = options
  const renames: Rename[] = []
  const find = (path: string): Entry => {
    let entry: Entry = root
    for (const name of namesOf(path)) {
      const next: Entry | undefined = entry.kind === 'folder' ? entry.now.get(name) : undefined
      if (!next) throw kernelError('ENOENT')
      entry = next
    }
    return entry
  }
  const folderAt = (path: string): Folder => {
    const entry = find(path)
    if (entry.kind !== 'folder') throw kernelError('ENOTDIR')
    return entry
  }
  const place = (path: string) => {
    const names = namesOf(path)
    return { folder: folderAt(names.slice(0, -1).join('/')), name: names.at(-1) ?? '' }
  }
  const fileAt = (path: string): File => {
    const entry = find(path)
    if (entry.kind !== 'file') throw kernelError('EISDIR')
    return entry
  }
  return {
    async open(path, purpose) {
      const { folder, name } = place(path)
      if (purpose === 'make' && !folder.now.has(name)) {
        folder.now.set(name, { kind: 'file', now: Buffer.alloc(0), synced: Buffer.alloc(0) })
      }
      return openFile(fileAt(path), { honest, pause })
    },
    async makeFolder(path) {
      let folder = root
      for (const name of namesOf(path)) {
        const next = folder.now.get(name) ?? newFolder()
        if (next.kind !== 'folder') throw kernelError('ENOTDIR')
        folder.now.set(name, next)
        folder = next
      }
    },
    async syncFolder(path) {
      const folder = folderAt(path)
      const names = new Map(folder.now)
      await pause()
      if (honest) folder.synced = names
    },
    async rename(from, to) {
      const source = place(from)
      const target = place(to)
      const entry = find(from)
      renames.push({ from: source, to: target, entry })
      target.folder.now.set(target.name, entry)
      source.folder.now.delete(source.name)
    },
    async remove(path) {
      find(path)
      const { folder, name } = place(path)
      folder.now.delete(name)
    },
    async stat(path) {
      const entry = find(path)
      return { sizeBytes: entry.kind === 'file' ? entry.now.length : 0, modifiedAt: 0 }
    },
    async list(path) {
      return [...folderAt(path).now.keys()]
    },
    async space() {
      return { freeBytes: 2 ** 40, totalBytes: 2 ** 41 }
    },
    afterPowerLoss: random =>
      powerLossDisk({ honest }, survivingFolder(root, { random, renames: settle(renames, random), done: new Map() })),
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter(Boolean)
}

function openFile(file: File, { honest, pause }: Required<PowerLossOptions>): OpenFile {
  const sync = async () => {
    const bytes = Buffer.from(file.now)
    await pause()
    if (honest) file.synced = bytes
  }
  return {
    async read(buffer, lengthBytes, position) {
      const piece = file.now.subarray(position, position + lengthBytes)
      buffer.set(piece)
      return piece.length
    },
    async write(pieces, position) {
      const bytes = Buffer.concat(pieces)
      const grown = Buffer.alloc(Math.max(file.now.length, position + bytes.length))
      file.now.copy(grown)
      bytes.copy(grown, position)
      file.now = grown
      return bytes.length
    },
    async truncate(sizeBytes) {
      const cut = Buffer.alloc(sizeBytes)
      file.now.copy(cut)
      file.now = cut
    },
    size: async () => file.now.length,
    syncData: sync,
    sync,
    close: async () => undefined,
  }
}

interface Loss {
  readonly random: Random
  /** Whether each rename took place. */
  readonly renames: ReadonlyMap<Rename, boolean>
  /** A file under two names stays one file. */
  readonly done: Map<Entry, Entry>
}

/** A rename whose new name was synced has surely taken place. */
function settle(renames: readonly Rename[], random: Random): ReadonlyMap<Rename, boolean> {
  return new Map(
    renames.map(each => [each, each.to.folder.synced.get(each.to.name) === each.entry || random.chance(0.5)]),
  )
}

/** Each name that is not the same in both states falls on one side or the other. */
function survivingFolder(folder: Folder, loss: Loss): Folder {
  const names = new Set([...folder.now.keys(), ...folder.synced.keys()])
  const survived = newFolder()
  for (const name of names) {
    const kept = (isNow(folder, name, loss) ? folder.now : folder.synced).get(name)
    if (kept) survived.now.set(name, survivingEntry(kept, loss))
  }
  survived.synced = new Map(survived.now)
  return survived
}

function isNow(folder: Folder, name: string, { random, renames }: Loss): boolean {
  for (const [{ from, to }, happened] of renames) {
    const concerned = [from, to].some(end => end.folder === folder && end.name === name)
    if (concerned) return happened
  }
  return random.chance(0.5)
}

function survivingEntry(entry: Entry, loss: Loss): Entry {
  const known = loss.done.get(entry)
  if (known) return known
  const survived = entry.kind === 'folder' ? survivingFolder(entry, loss) : survivingFile(entry, loss.random)
  loss.done.set(entry, survived)
  return survived
}

/** Its size falls on one side, and each of its pages. */
function survivingFile(file: File, random: Random): File {
  const bytes = Buffer.alloc((random.chance(0.5) ? file.now : file.synced).length)
  for (let from = 0; from < bytes.length; from += PAGE_BYTES) {
    const side = random.chance(0.5) ? file.now : file.synced
    bytes.set(side.subarray(from, from + PAGE_BYTES).subarray(0, bytes.length - from), from)
  }
  return { kind: 'file', now: bytes, synced: Buffer.from(bytes) }
}
