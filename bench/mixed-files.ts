import { join } from 'node:path'

import { randomNumbers } from './random.ts'
import { writeRandomFile } from './workspace.ts'

export interface MixedFiles {
  readonly folder: string
  readonly paths: readonly string[]
  readonly totalBytes: number
}

interface Sort {
  readonly share: number
  readonly name: string
  readonly fromBytes: number
  readonly toBytes: number
}

const KB = 1000
const SORTS: readonly Sort[] = [
  { share: 0.6, name: 'thumbnail.jpg', fromBytes: 4 * KB, toBytes: 300 * KB },
  { share: 0.3, name: 'photo.jpg', fromBytes: 300 * KB, toBytes: 2000 * KB },
  { share: 0.1, name: 'clip.mp4', fromBytes: 500 * KB, toBytes: 6000 * KB },
]

/** What people send: mostly small, some photos, a few clips. The same sizes and bytes on every machine. */
export async function writeMixedFiles(folder: string, count: number): Promise<MixedFiles> {
  const random = randomNumbers(2024)
  const paths: string[] = []
  let totalBytes = 0
  for (const { share, name, fromBytes, toBytes } of SORTS) {
    for (let index = 0; index < Math.round(share * count); index++) {
      // Even on a scale of doublings, as sizes of real files are.
      const sizeBytes = Math.round(fromBytes * (toBytes / fromBytes) ** random())
      const path = join(folder, `${index}-${name}`)
      await writeRandomFile(path, sizeBytes, paths.length)
      paths.push(path)
      totalBytes += sizeBytes
    }
  }
  return { folder, paths, totalBytes }
}
