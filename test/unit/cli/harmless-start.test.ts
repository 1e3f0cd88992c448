import { crc32 } from 'node:zlib'

import { expect, test } from 'vitest'

import { isHarmlessStart, readHarmless, START_BYTES } from '../../../src/cli/play/harmless-start.ts'
import { servedType } from '../../../src/cli/play/resource.ts'
import { content } from '../../support/sdk.ts'

const { signal } = new AbortController()
const HLS = '#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/reboot\n#EXT-X-ENDLIST\n'
const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, 'latin1'))
const tag = (length: number): string =>
  `ID3\x03\0\0\0${String.fromCharCode(length >> 14, (length >> 7) & 127, length & 127)}${'\0'.repeat(length)}`

test.each([
  ['HLS', HLS],
  ['HLS behind a byte order mark', `\xef\xbb\xbf${HLS}`],
  ['HLS behind the tag of a song', `${tag(5000)}${HLS}`],
  ['HLS with control characters', `${HLS}\0\x01`],
  ['M3U that is not UTF-8', 'caf\xe9.mp4\nhttp://127.0.0.1/\n'],
  ['PLS', '[playlist]\nFile1=http://127.0.0.1/\n'],
  ['DASH', `  \n${' '.repeat(20)}<?xml version="1.0"?><MPD/>`],
  ['DASH behind many blanks', `${' '.repeat(START_BYTES + 1)}<MPD/>`],
  ['EDL', '# mpv EDL v0\nhttp://127.0.0.1/\n'],
  ['a list for concatenation', 'ffconcat version 1.0\nfile http://127.0.0.1/\n'],
  ['SDP', 'v=0\no=- 0 0 IN IP4 127.0.0.1\n'],
  ['a sheet of tracks', 'REM x\n1 FILE "http://127.0.0.1/a" WAVE\n'],
  ['bare URLs', 'http://127.0.0.1/\n'],
  ['UTF-16', '\xff\xfe#\0E\0X\0T\0'],
  ['a ZIP archive behind other bytes', `\0\0\0\x18ftypisom${'\0'.repeat(100)}PK\x05\x06${'\0'.repeat(18)}`],
  ['an ISO image', `${'\0'.repeat(0x8001)}CD001`],
])('no player is given %s, whatever it is called', (_, text) => {
  expect(isHarmlessStart(bytesOf(text), 'film.mp4')).toBe(false)
})

test.each([
  ['a film', `\0\0\0\x18ftypisom${'\0'.repeat(50)}<?xpacket begin=""?><MPD`, 'a.mp4'],
  ['a song with a tag', `${tag(5000)}\xff\xfb\x90\x64\0\0`, 'a.mp3'],
  ['a picture', '\xff\xd8\xff\xe0\0\x10JFIF\0', 'a.jpg'],
  ['notes', 'Dear diary\n', 'notes.txt'],
  ['a document', '%PDF-1.7\n', 'a.PDF'],
  ['nothing', '', 'a.mp4'],
])('a player is given %s', (_, text, name) => {
  expect(isHarmlessStart(bytesOf(text), name)).toBe(true)
})

test('every range of the start is looked at from the first byte on, and gives its own bytes', async () => {
  const file = new Uint8Array([0, ...content('file', 3 * START_BYTES)])
  const song = new Uint8Array([...bytesOf(tag(2 * START_BYTES)), 0xff, 0xfb, 0, ...content('song', START_BYTES)])
  for (const bytes of [file, song, bytesOf(`${tag(3 * START_BYTES)}${HLS}`)]) {
    const isHostile = bytes !== file && bytes !== song
    for (const [start, end] of [
      [0, 1],
      [3, 10],
      [START_BYTES - 1, START_BYTES + 5000],
      [0, Number.MAX_SAFE_INTEGER],
      [bytes.length - 1, bytes.length],
    ] as const) {
      const read = async function* (range: { start: number; end: number }): AsyncGenerator<Uint8Array> {
        for (let at = range.start; at < Math.min(range.end, bytes.length); at += 1000)
          yield bytes.subarray(at, Math.min(at + 1000, range.end))
      }
      const pieces = Array.fromAsync(readHarmless({ read, name: 'a.mp4' }, { start, end }, signal))
      const given = await pieces.then(all => crc32(Buffer.concat(all))).catch(() => 'refused')
      const isRefused = isHostile && start < START_BYTES
      expect(given).toBe(isRefused ? 'refused' : crc32(bytes.subarray(start, end)))
    }
  }
})

test('no playlist is served as one', () => {
  for (const type of ['audio/x-mpegurl', 'audio/mpegurl', 'video/vnd.mpegurl', 'audio/x-scpls', 'video/x-ms-asx'])
    expect(servedType(type)).toBe('application/octet-stream')
  for (const type of ['audio/mpeg', 'video/x-ms-wmv', 'video/mp4']) expect(servedType(type)).toBe(type)
})
