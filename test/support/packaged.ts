/** Packages a film and reads its streams side by side, as sending does. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { fileSource } from '../../src/client/node/files/file-source.ts'
import type { RandomSource } from '../../src/client/api/source-and-sink.ts'
import { PackageFacts, type TrackFacts } from '../../src/video/checks/package-facts.ts'
import { createRemuxer } from '../../src/video/index.ts'
import type { PackagedFilm, PackagedTrack, Packager, TrackLayout } from '../../src/video/index.ts'
import { SegmentScanner } from '../../src/video/ladder/segment-scanner.ts'

export interface PackagedFile extends Omit<PackagedTrack, 'bytes'> {
  readonly content: Uint8Array<ArrayBuffer>
}

export interface Packaged {
  readonly film: PackagedFilm
  readonly renditions: readonly PackagedFile[]
  readonly audio: readonly PackagedFile[]
}

export async function packaged(packager: Packager, film: string | RandomSource): Promise<Packaged> {
  const source = typeof film === 'string' ? await fileSource(film) : film
  const input = typeof film === 'string' ? { source, path: film } : { source }
  const begun = await packager.package(input, { signal: new AbortController().signal })
  const [renditions, audio] = await Promise.all([all(begun.renditions), all(begun.audio)])
  return { film: begun, renditions, audio }
}

/** Copies a film that becomes one file, written into `folder`, and reads what it holds. */
export async function copied(path: string, folder: string): Promise<{ out: string; facts: TrackFacts[] }> {
  const { renditions } = await packaged(createRemuxer(), path)
  const [file] = renditions
  if (!file || renditions.length > 1) throw new Error('There is not one rendition')
  const out = join(folder, 'packaged.mp4')
  await writeFile(out, file.content)
  return { out, facts: factsOf(file.content) }
}

/** What a packaged file holds. */
export function factsOf(file: Uint8Array): TrackFacts[] {
  const facts = new PackageFacts()
  const scanner = new SegmentScanner(facts)
  scanner.push(file)
  scanner.end()
  return facts.tracks
}

/** A file of the init and the segments from `first` on, as a player has it after a jump. */
export async function writeFrom(file: PackagedFile, first: number, path: string): Promise<void> {
  const { init, segments } = file.layout
  const parts = [init, ...segments.slice(first)].map(part => part && slice(file, part))
  await writeFile(
    path,
    parts.flatMap(part => part ?? []),
  )
}

/** The boxes of a part of the file, such as `ftyp moov` or `moof mdat`. */
export function boxTypes(file: PackagedFile, part: readonly [offset: number, length: number, ...rest: number[]]) {
  const bytes = slice(file, part)
  const types: string[] = []
  for (let at = 0; at < bytes.byteLength; at += bytes.readUInt32BE(at))
    types.push(bytes.toString('latin1', at + 4, at + 8))
  return types.join(' ')
}

/** True when the init and the segments lie one after the other and cover the file. */
export function coversFile({ layout, content }: PackagedFile): boolean {
  const parts = [layout.init ?? [0, 0], ...layout.segments]
  let end = 0
  for (const [offset, length] of parts) {
    if (offset !== end) return false
    end += length
  }
  return end === content.byteLength
}

function slice(file: PackagedFile, [offset, length]: readonly [offset: number, length: number, ...rest: number[]]) {
  return Buffer.from(file.content.buffer, file.content.byteOffset + offset, length)
}

function all(tracks: readonly PackagedTrack[]): Promise<PackagedFile[]> {
  return Promise.all(tracks.map(read))
}

async function read({ bytes, ...track }: PackagedTrack): Promise<PackagedFile> {
  const content = await new Response(bytes).bytes()
  return { ...track, content }
}

export type { TrackLayout }
