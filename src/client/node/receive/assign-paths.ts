import { numberable, safeName } from './safe-names.ts'
import type { NameRules, SafeName } from './safe-names.ts'

/**
 * Gives every item of a parcel a path of its own, the same ones each time for the same names in the same order. No two
 * are equal for a file system that ignores case or normalizes names. Takes linear time, however many names are equal.
 */
export function assignPaths(names: readonly string[], rules: NameRules = {}): SafeName[] {
  const tree = new PathTree()
  return names.map(name => tree.add(safeName(name, rules)))
}

interface Folder {
  /** What stands here, by folded name; `null`: a file. */
  readonly entries: Map<string, Folder | null>
  /** Which folder stands for a wanted name, by its folded form. */
  readonly folders: Map<string, NamedFolder>
  /** The next number to try, by what is numbered. */
  readonly next: Map<string, number>
}

interface NamedFolder {
  readonly name: string
  readonly folder: Folder
}

/** The names that are given out so far. */
export class PathTree {
  /** How many names were looked up: what adding costs. */
  lookups = 0
  readonly #root = newFolder()

  add({ segments, changes }: SafeName): SafeName {
    let folder = this.#root
    const path: string[] = []
    for (const wanted of segments.slice(0, -1)) {
      const inner = this.#folder(folder, wanted)
      path.push(inner.name)
      folder = inner.folder
    }
    const file = this.#free(folder, segments.at(-1) ?? '')
    folder.entries.set(fold(file), null)
    path.push(file)
    const isTaken = path.some((segment, at) => segment !== segments[at])
    return { segments: path, changes: isTaken ? [...changes, 'taken'] : changes }
  }

  /** The same folder for the same name each time, under a number where a file has that name. */
  #folder(parent: Folder, wanted: string): NamedFolder {
    const key = fold(wanted)
    this.lookups += 1
    const known = parent.folders.get(key)
    if (known) return known
    const existing = parent.entries.get(key)
    const made = existing
      ? { name: wanted, folder: existing }
      : { name: this.#free(parent, wanted), folder: newFolder() }
    parent.folders.set(key, made)
    parent.folders.set(fold(made.name), made)
    parent.entries.set(fold(made.name), made.folder)
    return made
  }

  /**
   * The name, or the first number of it that is free. A number is tried once for all names that get the same one, also
   * for long names, of which only the beginning stays: so names of one kind cost one look-up each.
   */
  #free(folder: Folder, name: string): string {
    if (!this.#has(folder, name)) return name
    const { kept, extension } = numberable(name)
    const key = `${fold(kept)}/${fold(extension)}`
    for (let count = folder.next.get(key) ?? 2; ; count += 1) {
      const candidate = `${kept} (${count})${extension}`
      if (this.#has(folder, candidate)) continue
      folder.next.set(key, count + 1)
      return candidate
    }
  }

  #has(folder: Folder, name: string): boolean {
    this.lookups += 1
    return folder.entries.has(fold(name))
  }
}

function newFolder(): Folder {
  return { entries: new Map(), folders: new Map(), next: new Map() }
}

/** Equal for names that some file system takes for one. */
function fold(name: string): string {
  return name.normalize('NFKC').toUpperCase().toLowerCase()
}
