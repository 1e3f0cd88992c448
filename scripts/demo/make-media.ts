/** Makes a folder of mixed media out of nothing: pictures, voice notes, notes and films, all with a marker inside. */
import { randomBytes, randomFillSync } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface MediaFolder {
  readonly directory: string
  /** Text that stands in every file, at least once in each 64 KiB. */
  readonly marker: string
  /** Names relative to `directory`. */
  readonly names: readonly string[]
}

interface MediaFile {
  readonly name: string
  readonly sizeBytes: number
  /** How a file of its kind begins. */
  readonly head: Buffer
  readonly body: 'noise' | 'sound' | 'text'
}

const KiB = 2 ** 10
const MiB = 2 ** 20
const MARKER_EVERY_BYTES = 64 * KiB

const PNG = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
const MP4 = Buffer.from('\u0000\u0000\u0000\u0018ftypmp42\u0000\u0000\u0000\u0000mp42isom', 'latin1')
const WAV = Buffer.from('RIFF\u0000\u0000\u0000\u0000WAVEfmt ', 'latin1')
const JSON_HEAD = Buffer.from('{"title":"Notes of a holiday","days":["')

/** About 40 files and 150 MB. */
function filesToMake(): MediaFile[] {
  const photo = (number: number): MediaFile => ({
    name: `photos/IMG ${String(number).padStart(4, '0')}.png`,
    sizeBytes: (60 + ((number * 137) % 640)) * KiB + number,
    head: PNG,
    body: 'noise',
  })
  const voice = (number: number): MediaFile => ({
    name: `voice/note-${number}.wav`,
    sizeBytes: (400 + number * 150) * KiB,
    head: WAV,
    body: 'sound',
  })
  const film = (name: string, mebibytes: number): MediaFile => ({
    name: `films/${name}.mp4`,
    sizeBytes: mebibytes * MiB + 4321,
    head: MP4,
    body: 'noise',
  })
  const notes = (name: string, kibibytes: number): MediaFile => ({
    name: `${name}.json`,
    sizeBytes: kibibytes * KiB,
    head: JSON_HEAD,
    body: 'text',
  })
  return [
    ...Array.from({ length: 26 }, (_, index) => photo(index + 1)),
    ...Array.from({ length: 6 }, (_, index) => voice(index + 1)),
    film('Über den Wolken', 62),
    film('sunset 🌅', 41),
    film('海', 23),
    notes('notes/plans', 90),
    notes('notes/diary', 240),
    notes('notes/recipes 🍋', 15),
    notes('notes/a', 1),
    { name: 'notes/empty.txt', sizeBytes: 0, head: Buffer.alloc(0), body: 'text' },
  ]
}

/** Writes all files below `directory`. */
export async function makeMedia(directory: string): Promise<MediaFolder> {
  const marker = `plaintext-${randomBytes(12).toString('hex')}`
  const files = filesToMake()
  for (const file of files) await writeMedia(join(directory, file.name), file, marker)
  return { directory, marker, names: files.map(file => file.name) }
}

async function writeMedia(path: string, file: MediaFile, marker: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await using handle = await open(path, 'w')
  for (let written = 0; written < file.sizeBytes;) {
    const bytes = Buffer.alloc(Math.min(MARKER_EVERY_BYTES, file.sizeBytes - written))
    fill(bytes, file.body)
    const at = written === 0 ? file.head.copy(bytes) : 0
    bytes.write(marker, at)
    written += (await handle.write(bytes)).bytesWritten
  }
}

const SENTENCE = 'The sea was calm and the bread was fresh. '

function fill(bytes: Buffer, body: MediaFile['body']): void {
  if (body === 'noise') randomFillSync(bytes)
  else if (body === 'text') bytes.fill(SENTENCE)
  else for (let at = 0; at + 1 < bytes.length; at += 2) bytes.writeInt16LE(Math.round(Math.sin(at / 91) * 12_000), at)
}
