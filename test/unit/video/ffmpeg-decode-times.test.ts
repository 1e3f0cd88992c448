import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { CannotPackage, createRemuxer } from '../../../src/video/index.ts'
import { ffmpeg as lenientFfmpeg } from '../../support/ffmpeg-film.ts'
import { ffmpeg, films, frameHashes } from '../../support/films.ts'
import type { Films } from '../../support/films.ts'
import { copied, packaged } from '../../support/packaged.ts'

const OPEN = {
  seconds: 12,
  gopFrames: 25,
  options: ['-bf', '3', '-x264-params', 'open-gop=1:b-pyramid=normal'],
} as const

let home: Films

beforeAll(async () => {
  home = await films()
})

afterAll(() => home[Symbol.asyncDispose]())

const shown = (path: string) => frameHashes(path, '0:v', 'copy')

test.each(['mp4', 'mov', 'mkv'] as const)(
  'cuts of a film with open groups of frames (%s): all frames, times that grow',
  async container => {
    const whole = await home.make({ ...OPEN, container })
    let films = 0
    for (const start of ['1.2', '2', '3.4', '5.96', '7.08']) {
      const cut = join(home.folder, `cut-${start}.${container}`)
      await lenientFfmpeg(['-ss', start, '-i', whole, '-map', '0', '-c', 'copy', cut])
      try {
        const { out, facts } = await copied(cut, home.folder)
        expect(facts.every(({ isOrdered }) => isOrdered)).toBe(true)
        expect(await decodedFrames(out)).toBe(await decodedFrames(cut))
        films += 1
      } catch (error) {
        // A cut that hides frames between key frames behind an edit list is sent as a file.
        if (!(error instanceof CannotPackage) || !error.message.includes('edit list')) throw error
      }
    }
    expect(films).toBeGreaterThan(0)
  },
)

test('a film whose second part holds frames back longer than its first: all frames, times that grow', async () => {
  const plain = await home.make({ seconds: 5, audio: [], options: ['-bf', '0'] })
  const deep = await home.make({ seconds: 5, audio: [], options: ['-bf', '8', '-b_strategy', '0', '-refs', '8'] })
  const list = join(home.folder, 'list.txt')
  await writeFile(list, `file '${plain}'\nfile '${deep}'\n`)
  const both = join(home.folder, 'both.mkv')
  await lenientFfmpeg(['-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy', both])
  const { out, facts } = await copied(both, home.folder)
  expect(facts).toMatchObject([{ samples: 250, isOrdered: true }])
  expect(await shown(out)).toHaveLength(250)
})

test('a file whose samples are partly in its index and partly in fragments behind it is no film', async () => {
  const path = await home.make({ seconds: 6, gopFrames: 25, options: ['-movflags', 'frag_keyframe'] })
  await expect(packaged(createRemuxer(), path)).rejects.toMatchObject({
    name: 'CannotPackage',
    message: expect.stringContaining('movie fragments'),
  })
})

test.each(['frag_keyframe+empty_moov', 'frag_every_frame+empty_moov', 'cmaf'])(
  'a file of fragments alone (%s) is a film, and its frames are counted',
  async flags => {
    const path = await home.make({ seconds: 6, gopFrames: 25, options: ['-movflags', flags] })
    const { out, facts } = await copied(path, home.folder)
    expect(facts[0]).toMatchObject({ samples: 150, isOrdered: true })
    expect(await shown(out)).toEqual(await shown(path))
  },
)

test('a film shorter than its file declares turns out to be none', async () => {
  const path = await home.make({ seconds: 5, container: 'mkv' })
  const bytes = await readFile(path)
  const duration = bytes.indexOf(Buffer.from([0x44, 0x89, 0x88]))
  bytes.writeDoubleBE(20_000, duration + 3)
  const longer = join(home.folder, 'longer.mkv')
  await writeFile(longer, bytes)
  await expect(packaged(createRemuxer(), longer)).rejects.toMatchObject({
    name: 'CannotPackage',
    message: 'Of its 20.0 s, 5.0 s would play',
  })
})

async function decodedFrames(path: string): Promise<number> {
  const printed = await ffmpeg(
    '-err_detect',
    'ignore_err',
    '-i',
    path,
    '-map',
    '0:v',
    '-fps_mode',
    'passthrough',
    '-f',
    'framemd5',
    '-',
  )
  return printed.split('\n').filter(line => line !== '' && !line.startsWith('#')).length
}
