/** An ffmpeg that misbehaves: a script in its place; what looks into files stays the real one. */
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Ffmpeg } from '../../src/video/node.ts'
import { thisFfmpeg } from './ffmpeg.ts'

export interface FakeFfmpeg {
  readonly ffmpeg: Ffmpeg
  /** Whether the process that was started last is gone. */
  readonly isGone: () => Promise<boolean>
  readonly hasStarted: () => Promise<boolean>
}

/** `script` in the shell's language; `$last` is the path of the last output, `$real` the real ffmpeg. */
export async function fakeFfmpeg(folder: string, name: string, script: string): Promise<FakeFfmpeg> {
  const real = await thisFfmpeg()
  const [path, pidFile] = [join(folder, name), join(folder, `${name}.pid`)]
  const lines = [
    '#!/bin/sh',
    `echo $$ > '${pidFile}'`,
    `real='${real.ffmpeg}'`,
    'for last; do :; done',
    'last="${last#file:}"',
    script,
  ]
  await writeFile(path, `${lines.join('\n')}\n`)
  await chmod(path, 0o755)
  const pid = async (): Promise<number> => Number(await readFile(pidFile, 'utf8').catch(() => '0'))
  return {
    ffmpeg: { ...real, ffmpeg: path },
    isGone: async () => !isRunning(await pid()),
    hasStarted: async () => (await pid()) > 0,
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
