import { readFile } from 'node:fs/promises'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { RandomSource } from '../../../src/client/index.ts'
import { createRemuxer } from '../../../src/video/index.ts'
import { films } from '../../support/films.ts'
import type { Films } from '../../support/films.ts'
import { packaged } from '../../support/packaged.ts'
import { failOnUnhandledRejections } from '../../support/unhandled-rejections.ts'

const BIG = { size: '1280x720', audio: ['aac', 'aac'], options: ['-qp', '10'] } as const

let home: Films
let bytes: Uint8Array<ArrayBuffer>

beforeAll(async () => {
  home = await films()
  bytes = new Uint8Array(await readFile(await home.make(BIG)))
})

afterAll(() => home[Symbol.asyncDispose]())

failOnUnhandledRejections()

/** Counts reads; from the `failsAfter`th on they fail. */
function counted(failsAfter = Infinity) {
  const counts = { reads: 0, broken: new Error('The disk is gone') }
  const source: RandomSource = {
    sizeBytes: bytes.byteLength,
    read: (start, end) =>
      ++counts.reads > failsAfter ? Promise.reject(counts.broken) : Promise.resolve(bytes.slice(start, end)),
  }
  return { counts, source }
}

const begin = (source: RandomSource, signal = new AbortController().signal) =>
  createRemuxer().package({ source }, { signal })

test('a read that fails ends every stream with its error', async () => {
  const { counts, source } = counted(4)
  const { renditions, audio } = await begin(source)
  const ends = await Promise.allSettled([...renditions, ...audio].map(track => new Response(track.bytes).bytes()))
  expect(ends).toHaveLength(3)
  for (const end of ends) expect(end).toEqual({ status: 'rejected', reason: counts.broken })
})

test('an abort ends every stream with its reason', async () => {
  const abort = new AbortController()
  const { renditions, audio } = await begin(counted().source, abort.signal)
  const reading = Promise.allSettled([...renditions, ...audio].map(track => new Response(track.bytes).bytes()))
  const gone = new Error('Not wanted')
  abort.abort(gone)
  for (const end of await reading) expect(end).toEqual({ status: 'rejected', reason: gone })
})

test('tracks are made only as they are read, and a cancelled stream ends the film', async () => {
  const { counts, source } = counted()
  const { renditions, audio } = await begin(source)
  const [rendition] = renditions
  const reader = rendition?.bytes.getReader()
  await reader?.read()
  const others = audio.map(track => new Response(track.bytes).bytes())
  const gone = new Error('Not wanted')
  await reader?.cancel(gone)
  for (const other of others) await expect(other).rejects.toBe(gone)
  expect(counts.reads).toBeLessThan(bytes.byteLength / 1024 / 1024)
})

test('a film that was cut off is packaged as far as it goes, or refused', async () => {
  for (const container of ['mp4', 'mkv', 'ts'] as const) {
    const whole = new Uint8Array(await readFile(await home.make({ container })))
    const cut = whole.slice(0, whole.byteLength * 0.7)
    const source = {
      sizeBytes: cut.byteLength,
      read: (start: number, end: number) => Promise.resolve(cut.slice(start, end)),
    }
    const outcome = await packaged(createRemuxer(), source).then(
      ({ renditions }) => renditions[0]?.layout.segments.length,
      (error: unknown) => error,
    )
    expect(typeof outcome === 'number' ? outcome > 0 : outcome).toSatisfy(
      end => end === true || (end instanceof Error && end.name === 'CannotPackage'),
    )
  }
})
