import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { cut, describe, rebuild, sourceOf } from '../../support/originals.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

const run = promisify(execFile)
const ffmpeg = (...args: string[]): Promise<unknown> => run('ffmpeg', ['-nostdin', '-v', 'error', ...args])

const PICTURES = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=25:duration=8']
const SOUND = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=8']
const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-bf', '2', '-c:a', 'aac']
const VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-c:a', 'libopus']
const FRAGMENTED = ['-c', 'copy', '-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-strict', '-2']

const containers: readonly (readonly [file: string, codecs: readonly string[]])[] = [
  ['film.mp4', H264],
  ['front.mp4', [...H264, '-movflags', 'faststart']],
  ['film.mov', H264],
  ['film.mkv', H264],
  ['film.webm', VP9],
]

test.each(containers)('%s is rebuilt from its remuxed film, with little of its own', async (name, codecs) => {
  await using folder = await tempDirectory()
  const original = join(folder.path, name)
  const film = join(folder.path, 'remuxed.mp4')
  await ffmpeg(...PICTURES, ...SOUND, ...codecs, original)
  await ffmpeg('-i', original, ...FRAGMENTED, film)
  const [file, fragmented] = await Promise.all([readFile(original), readFile(film)])
  const { list, literalShare } = await describe(sourceOf(new Uint8Array(file)), cut(fragmented, [100_000]))
  const rebuilt = rebuild(list, fragmented, { bytes: file.byteLength })
  expect(Buffer.compare(rebuilt.file, file)).toBe(0)
  expect(Buffer.compare(rebuilt.sha256, createHash('sha256').update(file).digest())).toBe(0)
  expect(literalShare).toBeLessThan(0.1)
})
