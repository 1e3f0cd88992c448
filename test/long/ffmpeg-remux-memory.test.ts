import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { ffmpeg, films } from '../support/films.ts'

const CHILD = join(import.meta.dirname, '../support/remux-memory-child.ts')
const MIB = 1024 * 1024

test('packaging a film of 2 GB takes memory for a few segments', async () => {
  await using home = await films()
  // 25 Mbit/s: noise cannot be compressed.
  const options = ['-vf', 'noise=alls=40:allf=t', '-b:v', '25M', '-preset', 'ultrafast']
  const clip = await home.make({ size: '1280x720', seconds: 20, frameRate: 30, gopFrames: 60, options })
  const film = join(home.folder, 'long.mp4')
  await ffmpeg('-stream_loop', '31', '-i', clip, '-c', 'copy', film)
  expect(await peakBytes(film)).toBeLessThan(400 * MIB)
})

async function peakBytes(path: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path])
  return Number(stdout)
}
