/** Packaging a large film by copying: how fast, and in how much memory. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext, Row } from '../context.ts'
import { run } from '../processes.ts'
import { growClip, makeClip, missingFfmpeg } from '../video/films.ts'
import { leftOut } from './left-out.ts'

const GIB = 1024 ** 3
const CLIP = { size: '1280x720', seconds: 20, kilobitsPerSecond: 8000 } as const

export const packaging: Row = {
  name: 'package',
  title: 'A large film packaged by copying',
  async run(context) {
    const missing = await missingFfmpeg()
    if (missing !== null) return leftOut(packaging, missing)
    const path = join(await context.workspace.folder('package'), 'film.mp4')
    context.progress('making the film')
    const clip = { ...CLIP, seconds: context.quick ? 4 : CLIP.seconds, path }
    await makeClip(clip, context)
    await growClip(clip, sizeOf(context), context)
    const { size } = await stat(path)
    const runs: Measured[] = []
    for (let round = -1; round < context.rounds; round++) {
      const measured = await measure(path, context)
      context.progress(`${round < 0 ? 'warm-up' : `round ${round + 1}`}: ${measured.seconds.toFixed(2)} s`)
      if (round >= 0) runs.push(measured)
    }
    const speeds = runs.map(({ seconds }) => size / 1e6 / seconds)
    const peaks = runs.map(({ peakBytes }) => peakBytes / 1e6)
    return {
      row: 'package',
      title: packaging.title,
      unit: 'MB/s',
      subjects: [{ name: 'Sealift', samples: speeds.map(value => ({ value })) }],
      aims: [
        { label: 'packaged', ratios: speeds, atLeast: 100, unit: 'MB/s' },
        { label: 'most memory of the process', ratios: peaks, atMost: 300, unit: 'MB' },
      ],
      notes: [
        `${Math.round(size / 1e6)} MB, H.264 and AAC in MP4, made by ffmpeg; read from the page cache and thrown away.`,
        'With the run list that rebuilds the file from the film: both are hashed, as in every send.',
      ],
    }
  },
}

function sizeOf({ quick, full }: BenchContext): number {
  if (quick) return GIB / 16
  return full ? 4 * GIB : GIB
}

interface Measured {
  readonly seconds: number
  readonly peakBytes: number
}

async function measure(path: string, { build, signal }: BenchContext): Promise<Measured> {
  const script = join(import.meta.dirname, '../video/package-client.ts')
  const said = await run({ command: process.execPath, args: [script, build.dist, path], signal })
  const match = /seconds=([\d.]+) peak=(\d+)/.exec(said)
  return { seconds: Number(match?.[1]), peakBytes: Number(match?.[2]) }
}
