import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { ffmpeg, films } from '../support/films.ts'

const CHILD = join(import.meta.dirname, '../support/remux-memory-child.ts')
const MB = 1e6

test('packaging a film takes memory for a few segments, however long it is', async () => {
  await using home = await films()
  // 25 Mbit/s: noise cannot be compressed.
  const options = ['-vf', 'noise=alls=40:allf=t', '-b:v', '25M', '-preset', 'ultrafast']
  const clip = await home.make({ size: '1280x720', seconds: 20, frameRate: 30, gopFrames: 60, options })
  const peaks: number[] = []
  for (const times of [8, 32]) {
    const film = join(home.folder, `${times}.mp4`)
    await ffmpeg('-stream_loop', String(times - 1), '-i', clip, '-c', 'copy', film)
    peaks.push(await peakBytes(film))
  }
  const [half = 0, two = 0] = peaks
  console.log(`0.5 GB and 2 GB packaged: peak resident MB ${peaks.map(bytes => Math.round(bytes / MB)).join(', ')}`)
  expect(two).toBeLessThan(300 * MB)
  expect(two - half).toBeLessThan(50 * MB)
})

async function peakBytes(path: string): Promise<number> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path])
  return Number(stdout)
}
