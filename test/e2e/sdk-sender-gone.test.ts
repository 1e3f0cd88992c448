import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { toBase64Url } from '../../src/client/bytes/base64url.ts'
import { formatLink, parseLink } from '../../src/client/link.ts'
import type { SendingItem } from '../../src/client/manifest/manifest.ts'
import { openManifest, sealManifest } from '../../src/client/manifest/manifest-codec.ts'
import { nodeSuite } from '../../src/sealing/node-suite.ts'
import { localAuth } from '../support/local-token.ts'
import { only } from '../support/sdk.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'

const stage = sdkPerTest()

/** A parcel whose sender promises a version every second, and was killed after the first. */
async function abandoned(begun: Partial<SendingItem> = {}): Promise<string> {
  const key = nodeSuite.randomBytes(32)
  const createdAt = new Date().toISOString()
  const items = [{ name: 'film.mp4', type: 'video/mp4', state: 'sending' as const, ...begun }]
  const sealed = await sealManifest({ v: 1, createdAt, everySeconds: 1, items }, { suite: nodeSuite, key })
  const response = await fetch(`${stage.server.url}/v1/parcels`, {
    method: 'POST',
    headers: { ...localAuth(stage.server.url), 'content-type': 'application/json' },
    body: JSON.stringify({ manifest: toBase64Url(sealed), media: [] }),
  })
  const { parcelId } = (await response.json()) as { parcelId: string }
  return formatLink({ server: stage.server.url, parcelId, key })
}

test('a sender that shows no life is gone, for those who wait and those who download', async () => {
  const parcel = await stage.sealift.open(await abandoned())
  const download = parcel.bytes(only(parcel)).catch((error: unknown) => error)
  const waited = await parcel.next({ waitSeconds: 60 }).catch((error: unknown) => error)
  expect(waited).toMatchObject({ code: 'sender_gone' })
  expect(await download).toMatchObject({ code: 'sender_gone' })
})

test('a sender that dies while its film is followed leaves nothing behind', async () => {
  const response = await fetch(`${stage.server.url}/v1/uploads`, {
    method: 'POST',
    headers: { ...localAuth(stage.server.url), 'content-type': 'application/json' },
    body: '{}',
  })
  const { mediaId: media } = (await response.json()) as { mediaId: string }
  const [key, commit] = [toBase64Url(nodeSuite.randomBytes(32)), toBase64Url(nodeSuite.randomBytes(32))]
  const link = await abandoned({ media, key, commit, chunkBytes: 262_144, original: { bytes: 5_000_000 } })
  const directory = join(stage.home.path, 'out')
  const { items } = await stage.sealift.receive(link, { directory })
  expect(items).toMatchObject([{ error: { code: 'sender_gone' } }])
  expect(await readdir(directory)).toEqual([])
})

/** When the next version is due, by the manifest as it stands. */
async function dueSeconds(link: string): Promise<number | undefined> {
  const { parcelId, key } = parseLink(link)
  const response = await fetch(`${stage.server.url}/v1/parcels/${parcelId}`)
  return (await openManifest(await response.bytes(), { suite: nodeSuite, key })).everySeconds
}

test('the manifest says when the next version is due while something is being sent, and not after', async () => {
  const more = Promise.withResolvers<void>()
  const source = new ReadableStream<Uint8Array>({
    pull: async controller => {
      await more.promise
      controller.close()
    },
  })
  const published = Promise.withResolvers<string>()
  const sending = stage.sealift.send([{ name: 'late.bin', source }], {
    publishFirst: true,
    onPublished: ({ link }) => published.resolve(link),
  })
  const link = await published.promise
  expect(await dueSeconds(link)).toBe(15)
  more.resolve()
  await sending
  expect(await dueSeconds(link)).toBeUndefined()
})
