/** What a folder holds, byte for byte: used to show that a server's disk holds nothing readable. */
import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface DiskReport {
  readonly files: number
  readonly bytes: number
  /** How often each needle was found, in contents and in file names. */
  readonly found: ReadonlyMap<string, number>
}

/** Reads every file below `directory` and counts the needles in it. */
export async function lookAtDisk(directory: string, needles: readonly string[]): Promise<DiskReport> {
  const found = new Map(needles.map(needle => [needle, 0]))
  const count = (needle: string, times: number) => found.set(needle, (found.get(needle) ?? 0) + times)
  let files = 0
  let bytes = 0
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    for (const needle of needles) if (entry.name.includes(needle)) count(needle, 1)
    if (!entry.isFile()) continue
    files += 1
    bytes += await searchFile(join(entry.parentPath, entry.name), needles, count)
  }
  return { files, bytes, found }
}

async function searchFile(
  path: string,
  needles: readonly string[],
  count: (needle: string, times: number) => void,
): Promise<number> {
  const overlap = Math.max(...needles.map(needle => Buffer.byteLength(needle))) - 1
  let bytes = 0
  let tail: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    const fresh = chunk as Buffer
    bytes += fresh.length
    const text = Buffer.concat([tail, fresh])
    for (const needle of needles) count(needle, occurrences(text, needle, tail.length))
    tail = text.subarray(Math.max(0, text.length - overlap))
  }
  return bytes
}

/** Those that end after the first `seen` bytes: the others were counted with the chunk before. */
function occurrences(text: Buffer, needle: string, seen: number): number {
  const length = Buffer.byteLength(needle)
  let times = 0
  for (let at = text.indexOf(needle, Math.max(0, seen - length + 1)); at !== -1; at = text.indexOf(needle, at + 1))
    times += 1
  return times
}
