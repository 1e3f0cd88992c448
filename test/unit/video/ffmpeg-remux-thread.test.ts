import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { fileSource } from '../../../src/client/node/index.ts'
import { createRemuxer } from '../../../src/video/index.ts'
import { createRemuxThread, type RemuxThreadOptions } from '../../../src/video/node.ts'
import type { PackagedFilm } from '../../../src/video/packager.ts'
import { films, type Films } from '../../support/films.ts'

const NEVER = new AbortController().signal

let made: Films

beforeAll(async () => {
  made = await films()
})

afterAll(() => made[Symbol.asyncDispose]())

async function inThread(path: string, options: RemuxThreadOptions = {}, signal = NEVER): Promise<PackagedFilm> {
  return createRemuxThread(options).package({ source: await fileSource(path), path }, { signal })
}

const bytesOf = (film: PackagedFilm): Promise<Uint8Array[]> =>
  Promise.all([...film.renditions, ...film.audio].map(({ bytes }) => new Response(bytes).bytes()))

const factsOf = (film: PackagedFilm): unknown =>
  [...film.renditions, ...film.audio].map(({ layout, codecs, width, height, language }) => {
    return { codecs, width, height, language, init: layout.init, segments: layout.segments }
  })

/** The first half of a film, then what is none. */
async function broken(): Promise<string> {
  const whole = await readFile(await made.make({ container: 'mkv', seconds: 9, size: '640x360', gopFrames: 50 }))
  const path = join(made.folder, 'broken.mkv')
  await writeFile(path, Buffer.concat([whole.subarray(0, whole.byteLength / 2), Buffer.alloc(300_000, 0x55)]))
  return path
}

test.each([
  ['a film', { seconds: 9, size: '640x360', gopFrames: 50 } as const],
  ['a film with a choice of sound', { seconds: 6, audio: ['aac', 'aac'] } as const],
])('%s is what it is without a thread', async (_, recipe) => {
  const path = await made.make(recipe)
  const here = await createRemuxer().package({ source: await fileSource(path) }, { signal: NEVER })
  const there = await inThread(path)
  expect(await bytesOf(there)).toEqual(await bytesOf(here))
  expect(factsOf(there)).toEqual(factsOf(here))
})

test('a film on which the demuxer goes round in circles is given up', async () => {
  const film = await inThread(await broken(), { stuckMs: 3000 })
  await expect(bytesOf(film)).rejects.toMatchObject({ name: 'CannotPackage' })
})

test('what takes too much memory is given up, and this process lives on', async () => {
  const path = await made.make({ seconds: 9, size: '640x360', gopFrames: 50 })
  const packaging = inThread(path, { heapMebibytes: 4 }).then(bytesOf)
  await expect(packaging).rejects.toMatchObject({ name: 'CannotPackage' })
})

test('what is no film is refused, what is no file is reported', async () => {
  const path = join(made.folder, 'no-film.mp4')
  await writeFile(path, 'nothing')
  await expect(inThread(path)).rejects.toMatchObject({ name: 'CannotPackage' })
  const source = { sizeBytes: 7, read: () => Promise.reject(new Error('It is read on the thread')) }
  const gone = createRemuxThread().package({ source, path: `${path}-gone` }, { signal: NEVER })
  await expect(gone).rejects.toMatchObject({ code: 'local_file', context: { path: `${path}-gone` } })
})

test('an abort ends its streams, and giving one up ends them all', async () => {
  const path = await made.make({ seconds: 6, audio: ['aac', 'aac'] })
  const stop = new AbortController()
  const aborted = await inThread(path, {}, stop.signal)
  const reading = bytesOf(aborted)
  stop.abort(new Error('stopped'))
  await expect(reading).rejects.toThrow('stopped')

  const given = await inThread(path)
  const [first, ...others] = [...given.renditions, ...given.audio]
  await first?.bytes.cancel(new Error('not wanted'))
  for (const { bytes } of others) await expect(new Response(bytes).bytes()).rejects.toThrow('not wanted')
})
