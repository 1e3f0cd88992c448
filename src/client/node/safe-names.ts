/**
 * Makes file names out of what a manifest says. Whoever made the link chose the names, so nothing of them is trusted:
 * every answer is a relative path that stays inside the folder it is joined to, on any system, whatever went in.
 * Pure; what lies on disk already is `receive-paths.ts`' business.
 */

/** What nearly every file system takes, in bytes of UTF-8. */
const MAX_SEGMENT_BYTES = 255
/** Room that ` (123)` and the decoration of a partial file need. */
const MAX_PATH_BYTES = 2048
const MAX_DEPTH = 32
const MAX_EXTENSION_BYTES = 32
const FALLBACK = 'unnamed'

/** C0, DEL, C1; marks that turn the reading direction, which make `exe.jpg` of `gpj.exe`; zero-width characters; line ends. */
const INVISIBLE = /[\p{Cc}\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff]/gu
/** What Windows refuses in a name, or reads as something else; `:` also names streams of a file. */
const WINDOWS_SPECIAL = /[<>:"|?*]/g
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(?:\.|$)/i
const DRIVE = /^[a-z]:/i

/**
 * The parts of a relative path for an untrusted name: at least one, none of them empty, `.`, `..`, or longer than 255
 * bytes. Both slashes separate.
 */
export function safeSegments(name: string, platform: string = process.platform): string[] {
  const segments = name
    .toWellFormed()
    .split(/[/\\]/)
    .map(segment => safeSegment(segment, platform))
    .filter(segment => segment !== '')
  if (segments.length === 0) return [FALLBACK]
  const tooDeep = segments.length > MAX_DEPTH || bytesOf(segments.join('/')) > MAX_PATH_BYTES
  return tooDeep ? segments.slice(-1) : segments
}

/** Gives every item of a parcel a path of its own, the same ones each time for the same names in the same order. */
export function assignPaths(names: readonly string[], platform: string = process.platform): string[][] {
  const files = new Set<string>()
  const folders = new Map<string, string>()
  const isTaken = (path: readonly string[]): boolean => files.has(fold(path)) || folders.has(fold(path))
  return names.map(name => {
    const segments = safeSegments(name, platform)
    const folder: string[] = []
    for (const segment of segments.slice(0, -1)) folder.push(folderName([...folder, segment], files, folders))
    const path = [...folder, firstFree(segments.at(-1) ?? FALLBACK, file => !isTaken([...folder, file]))]
    files.add(fold(path))
    return path
  })
}

/** `report.pdf` as `report (2).pdf`: still at most 255 bytes. `count` 1 leaves it as it is. */
export function numbered(file: string, count: number): string {
  if (count <= 1) return file
  const { stem, extension } = splitExtension(file)
  const suffix = ` (${count})${extension}`
  return `${shortened(stem, MAX_SEGMENT_BYTES - bytesOf(suffix))}${suffix}`
}

/** At most `maxBytes` of UTF-8, cut between characters as people see them. */
export function shortened(text: string, maxBytes: number): string {
  if (bytesOf(text) <= maxBytes) return text
  let bytes = 0
  let kept = ''
  for (const { segment } of new Intl.Segmenter('und', { granularity: 'grapheme' }).segment(text)) {
    bytes += bytesOf(segment)
    if (bytes > maxBytes) return kept
    kept += segment
  }
  return kept
}

function safeSegment(raw: string, platform: string): string {
  const visible = raw.replaceAll(INVISIBLE, '').replace(DRIVE, '')
  const portable = platform === 'win32' ? visible.replaceAll(WINDOWS_SPECIAL, '_').replace(/[. ]+$/, '') : visible
  const trimmed = /^\s*\.{0,2}\s*$/.test(portable) ? '' : portable
  const named = WINDOWS_DEVICE.test(trimmed) ? `_${trimmed}` : trimmed
  if (bytesOf(named) <= MAX_SEGMENT_BYTES) return named
  const { stem, extension } = splitExtension(named)
  return `${shortened(stem, MAX_SEGMENT_BYTES - bytesOf(extension))}${extension}` || FALLBACK
}

/** The name of a folder for this path: itself, or numbered where a file has that name; the same one each time. */
function folderName(path: readonly string[], files: ReadonlySet<string>, folders: Map<string, string>): string {
  const wanted = path.at(-1) ?? FALLBACK
  const parent = path.slice(0, -1)
  const known = folders.get(fold(path))
  if (known !== undefined) return known
  const name = firstFree(wanted, folder => !files.has(fold([...parent, folder])))
  folders.set(fold(path), name)
  if (name !== wanted) folders.set(fold([...parent, name]), name)
  return name
}

function firstFree(name: string, isFree: (candidate: string) => boolean): string {
  for (let count = 1; ; count += 1) {
    const candidate = numbered(name, count)
    if (isFree(candidate)) return candidate
  }
}

/** Equal for paths that some file system takes for one. */
function fold(path: readonly string[]): string {
  return path.join('/').normalize('NFKC').toUpperCase().toLowerCase()
}

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
