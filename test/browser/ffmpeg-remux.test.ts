import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Parcel } from '../../src/client/index.ts'
import { fileSource } from '../../src/client/node/index.ts'
import { createRemuxer } from '../../src/video/index.ts'
import type { Segment } from '../../src/video/packager.ts'
import { openTestPage } from '../support/chromium.ts'
import type { TestPage } from '../support/chromium.ts'
import { concat } from '../support/concat.ts'
import { films, frameHashes } from '../support/films.ts'
import type { FilmRecipe, Films } from '../support/films.ts'
import { LOCAL_TOKEN } from '../support/local-token.ts'
import { clientIn, digest } from '../support/sdk.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'
import type { RemuxPage } from './ffmpeg-remux-page.ts'

let server: TestServer
let home: Films
let opened: TestPage

beforeAll(async () => {
  server = await startTestServer()
  home = await films()
  opened = await openTestPage({ entry: 'test/browser/ffmpeg-remux-page.ts', body: '<input type="file">' })
})

afterAll(async () => {
  await opened[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const RECIPES: readonly FilmRecipe[] = [{ seconds: 20 }, { container: 'mkv', seconds: 9 }]

test.each(RECIPES)('a film that a browser packages and sends is the film and the file: %j', async recipe => {
  const path = await home.make(recipe)
  await opened.page.setInputFiles('input', path)
  const { link, notes } = await opened.page.evaluate<Awaited<ReturnType<RemuxPage['send']>>>(
    `remux.send(${JSON.stringify(server.url)}, ${JSON.stringify(LOCAL_TOKEN)})`,
  )
  expect(notes).toEqual([])
  await using sealift = clientIn(home.folder)
  const parcel = await sealift.open(link)
  const [item] = parcel.items
  if (!item) throw new Error('The parcel is empty')
  expect(digest(await parcel.bytes(item))).toBe(digest(await readFile(path)))

  const film = join(home.folder, 'film.mp4')
  const { segments, bytes } = await filmOf(parcel)
  expect(segments).toEqual(await segmentsInNode(path))
  await writeFile(film, bytes)
  for (const stream of ['0:v', '0:a']) {
    expect(await frameHashes(film, stream, 'copy')).toEqual(await frameHashes(path, stream, 'copy'))
  }
  expect(opened.errors).toEqual([])
})

/** The segments of the same film, packaged here. */
async function segmentsInNode(path: string): Promise<readonly Segment[]> {
  const { signal } = new AbortController()
  const { renditions } = await createRemuxer().package({ source: await fileSource(path) }, { signal })
  for (const { bytes } of renditions) await bytes.pipeTo(new WritableStream())
  return renditions[0]?.layout.segments ?? []
}

/** What a player would read: the initialization segment, and then one segment after the other. */
async function filmOf(parcel: Parcel): Promise<{ segments: readonly Segment[]; bytes: Uint8Array }> {
  const [item] = parcel.items
  const film = item ? parcel.film(item) : null
  const [rendition] = film?.description.renditions ?? []
  if (!film || !rendition) throw new Error('There is no film')
  const ranges = [rendition.init, ...rendition.segments].map(([start, length]) => ({ start, end: start + length }))
  const pieces: Uint8Array[] = []
  for (const range of ranges) pieces.push(await film.read(rendition, range))
  return { segments: rendition.segments, bytes: concat(pieces) }
}
