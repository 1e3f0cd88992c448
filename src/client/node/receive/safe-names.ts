/**
 * Makes file names out of what a manifest says. The sender chose the names, so nothing in them is trusted: every result
 * is a relative path that stays inside the folder it is joined to, whatever went in. What the receiving system can hold
 * is kept; each change has a reason. Pure: `receive-folders.ts` and `partial-file.ts` handle what is on the disk.
 */

/** What nearly every file system takes, in bytes of UTF-8. */
const MAX_SEGMENT_BYTES = 255
/** ` (9999999)` */
const MAX_NUMBER_BYTES = 10
/** Room for ` (123)` in each segment. */
const MAX_PATH_BYTES = 2048
const MAX_DEPTH = 32
const MAX_EXTENSION_BYTES = 32
const FALLBACK = 'unnamed'

/** C0, DEL, C1; marks that turn the reading direction (`gpj.exe` reads `exe.jpg`); zero-width characters; line ends. */
const INVISIBLE = /[\p{Cc}\u200b\u200e\u200f\u061c\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu
/** HFS+ leaves ignorable characters out when it compares names: U+200D before `.ssh` is `.ssh` there. */
const LEADING_DOT = /^\p{Default_Ignorable_Code_Point}*\./u
/** What Windows refuses in a name or reads as a separator; `:` also names streams of a file. */
const WINDOWS_SPECIAL = /[<>:"|?*\\]/g
const WINDOWS_END = /[. ]+$/
const WINDOWS_DEVICE =
  /^(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]) *(?:\.|$)/i
/** The Explorer obeys these in any folder it shows. */
const WINDOWS_OBEYED = /^(?:desktop\.ini|autorun\.inf)$/i
/**
 * The Explorer loads the icon that these name, from any server and with the user's login, when it shows their folder.
 */
const WINDOWS_LOADED = /\.(?:scf|url|lnk|library-ms|searchconnector-ms)$/i

/**
 * Why a file is not called what its sender called it. `hidden`: the name would be hidden or obeyed by the system.
 * `invisible`: it holds control characters or invisible marks. `outside`: it leads out of the folder, or is no name.
 * `system`: this system cannot hold it. `length`: it is too long or too deep. `taken`: something else has the name.
 */
export type NameChange = 'hidden' | 'invisible' | 'outside' | 'system' | 'length' | 'taken'

/** What the receiving system takes, and what its user wants. */
export interface NameRules {
  /** As `process.platform` says. Default: this system. */
  readonly platform?: string
  /** Keeps leading dots, so that names may be hidden. Default false. */
  readonly hidden?: boolean
}

/** A relative path, and why it is not the name it was made of. */
export interface SafeName {
  /** At least one; none of them empty, `.`, `..`, or longer than 255 bytes. */
  readonly segments: readonly string[]
  readonly changes: readonly NameChange[]
}

/** A relative path for an untrusted name. `/` separates, as in every manifest. */
export function safeName(name: string, rules: NameRules = {}): SafeName {
  const changes = new Set<NameChange>()
  const raw = name.toWellFormed().split('/')
  if (!name.isWellFormed()) changes.add('invisible')
  while (raw.length > 1 && raw.at(-1) === '') raw.pop()
  const safe = raw.map(segment => safeSegment(segment, { rules, changes }))
  const file = safe.at(-1) ?? ''
  const folders = safe.slice(0, -1).filter(segment => segment !== '')
  if (file === '' || folders.length < safe.length - 1) changes.add('outside')
  const segments = [...folders, file || FALLBACK]
  const tooDeep = segments.length > MAX_DEPTH || bytesOf(segments.join('/')) > MAX_PATH_BYTES
  if (tooDeep) changes.add('length')
  return { segments: tooDeep ? segments.slice(-1) : segments, changes: Array.from(changes) }
}

/** `report.pdf` as `report (2).pdf`: still at most 255 bytes. `count` 1 leaves it as it is. */
export function numbered(file: string, count: number): string {
  if (count <= 1) return file
  const { kept, extension } = numberable(file)
  return `${kept} (${count})${extension}`
}

/** What stays of a name around a number. Of long names as much for every number, so that equal ones are numbered on. */
export function numberable(file: string): { readonly kept: string; readonly extension: string } {
  const { stem, extension } = splitExtension(file)
  return { kept: shortened(stem, MAX_SEGMENT_BYTES - MAX_NUMBER_BYTES - bytesOf(extension)), extension }
}

/** At most `maxBytes` of UTF-8, cut between characters as people see them. */
export function shortened(text: string, maxBytes: number): string {
  if (bytesOf(text) <= maxBytes) return text
  const cut = unitsWithin(text, maxBytes)
  // Where the cut falls into a character, that character goes as a whole.
  return text.slice(0, graphemes.segment(text).containing(cut)?.index ?? 0)
}

/** An extension is short, and belongs to something. */
function splitExtension(file: string): { stem: string; extension: string } {
  const dot = file.lastIndexOf('.')
  const extension = dot > 0 ? file.slice(dot) : ''
  return bytesOf(extension) <= MAX_EXTENSION_BYTES && extension !== '.'
    ? { stem: file.slice(0, file.length - extension.length), extension }
    : { stem: file, extension: '' }
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })

/** How many UTF-16 units fit into so many bytes of UTF-8. */
function unitsWithin(text: string, maxBytes: number): number {
  let bytes = 0
  let units = 0
  for (const character of text) {
    bytes += bytesOf(character)
    if (bytes > maxBytes) break
    units += character.length
  }
  return units
}

interface Renaming {
  readonly rules: NameRules
  readonly changes: Set<NameChange>
}

/** Empty for what is no name. */
function safeSegment(raw: string, { rules, changes }: Renaming): string {
  const isWindows = (rules.platform ?? process.platform) === 'win32'
  const apply = (before: string, change: NameChange, after: string): string => {
    if (after !== before) changes.add(change)
    return after
  }
  const visible = apply(raw, 'invisible', raw.replaceAll(INVISIBLE, ''))
  if (visible === '.' || visible === '..') return ''
  const held = isWindows ? apply(visible, 'system', windowsName(visible)) : visible
  const shown = rules.hidden === true ? held : apply(held, 'hidden', shownName(held, isWindows))
  if (bytesOf(shown) <= MAX_SEGMENT_BYTES) return shown
  const { stem, extension } = splitExtension(shown)
  const short = `${shortened(stem, MAX_SEGMENT_BYTES - bytesOf(extension))}${extension}`
  return apply(shown, 'length', (isWindows ? windowsName(short) : short) || FALLBACK)
}

function windowsName(name: string): string {
  const holdable = name.replaceAll(WINDOWS_SPECIAL, '_').replace(WINDOWS_END, '')
  return WINDOWS_DEVICE.test(holdable) ? `_${holdable}` : holdable
}

function shownName(name: string, isWindows: boolean): string {
  const inert = isWindows && WINDOWS_LOADED.test(name) ? `${name}_` : name
  return LEADING_DOT.test(inert) || (isWindows && WINDOWS_OBEYED.test(inert)) ? `_${inert}` : inert
}

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
