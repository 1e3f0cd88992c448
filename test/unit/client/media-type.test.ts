import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { chooseMediaType, detectMediaType, HEAD_BYTES } from '../../../src/client/media-type.ts'
import {
  findFiles,
  listFiles,
  contentMediaType,
  fileMediaType,
  mediaType,
} from '../../../src/client/node/files/list-files.ts'

const text = (words: string): Uint8Array => Buffer.from(words)
const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex')

/** A transport stream: packets with `G` at their beginning, `lead` bytes of time before each. */
function transportStream(lead: number): Uint8Array {
  const packet = Buffer.concat([Buffer.alloc(lead, 1), Buffer.from('G'), Buffer.alloc(187, 0xff)])
  return Buffer.concat(Array.from({ length: 5 }, () => packet))
}

describe('a type by content', () => {
  test.each([
    ['a JPEG', bytes('ffd8ffe0 00104a46 49460001'), 'image/jpeg'],
    ['a bitmap', bytes('424d3604 00000000 00003600 0000'), 'image/bmp'],
    ['a transport stream', transportStream(0), 'video/mp2t'],
    ['a transport stream of a camera', transportStream(4), 'video/mp2t'],
    ['a program stream', bytes('000001ba 44000400 0401'), 'video/mpeg'],
    ['a phone film', Buffer.concat([bytes('00000018'), text('ftyp3gp5\0\0\0\0isom3gp5')]), 'video/3gpp'],
    ['an AVI', Buffer.concat([text('RIFF'), bytes('24000000'), text('AVI LIST')]), 'video/x-msvideo'],
    ['a Flash film', bytes('464c5601 05000000 09'), 'video/x-flv'],
    ['a song in MP4', Buffer.concat([bytes('00000018'), text('ftypM4A \0\0\0\0isomM4A ')]), 'audio/mp4'],
    ['a text', text('hello'), null],
    ['nothing', text(''), null],
  ])('%s', async (_, head, type) => {
    expect(await detectMediaType(head)).toBe(type)
  })

  test('text is no transport stream, wherever its letters G stand', async () => {
    const source = Array.from({ length: 22 }, () => `G${'a'.repeat(186)}\n`).join('')
    expect(await detectMediaType(text(source).subarray(0, HEAD_BYTES))).toBeNull()
  })
})

describe('a type by content and name', () => {
  test.each([
    ['a film under a name without an extension', transportStream(0), 'recording', 'video/mp2t'],
    ['a film under the name of another', transportStream(4), 'film.mp4', 'video/mp2t'],
    ['a TypeScript source', text("import { a } from './b.ts'\n"), 'main.ts', 'text/plain'],
    ['a TypeScript source with other letters', text('// Größe\n'), 'main.mts', 'text/plain'],
    ['a source that is cut inside a character', text('// 🎞').subarray(0, 5), 'main.ts', 'text/plain'],
    ['an empty TypeScript source', text(''), 'main.ts', 'text/plain'],
    ['a film that is damaged', bytes('00010203 fffefdfc'), 'film.mp4', 'video/mp4'],
    ['a document', bytes('504b0304 14000000'), 'talk.docx', mediaType('talk.docx')],
    ['an archive without an ending', bytes('1f8b0800 00000000'), 'backup', 'application/gzip'],
    ['a drawing', text('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'plan.svg', 'image/svg+xml'],
    ['a note', text('hello'), 'note.md', 'text/markdown'],
    ['a name that is an ending', text('hello'), 'ts', 'application/octet-stream'],
    ['nothing that is known', bytes('00010203'), 'a.b', 'application/octet-stream'],
  ])('%s', async (_, head, name, type) => {
    expect(await contentMediaType(head, name)).toBe(type)
  })

  test('without a name', async () => {
    expect(await chooseMediaType(transportStream(0), null)).toBe('video/mp2t')
    expect(await chooseMediaType(text('hello'), null)).toBe('application/octet-stream')
  })

  test('by the name alone, whatever its case', () => {
    expect(
      ['A.3GP', 'a.m2ts', 'a.avi', 'a.mpg', 'a.ogv', 'a.flv', 'a.wmv', 'a.bmp', 'a/b.mkv', 'ts'].map(mediaType),
    ).toEqual([
      'video/3gpp',
      'video/mp2t',
      'video/x-msvideo',
      'video/mpeg',
      'video/ogg',
      'video/x-flv',
      'video/x-ms-wmv',
      'image/bmp',
      'video/x-matroska',
      'application/octet-stream',
    ])
  })
})

describe('files', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sealift-types-'))
    await writeFile(join(folder, 'clip'), transportStream(0))
    await writeFile(join(folder, 'main.ts'), 'export {}\n')
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('are listed with the types of their content', async () => {
    expect((await listFiles([folder])).map(({ type }) => type)).toEqual(['video/mp2t', 'text/plain'])
  })

  test('are found without being opened', async () => {
    expect((await findFiles([folder])).map(({ type }) => type)).toEqual([undefined, undefined])
  })

  test('that cannot be read have the types of their names', async () => {
    expect(await fileMediaType({ path: join(folder, 'gone.avi') })).toBe('video/x-msvideo')
  })
})
