import { createHash, randomBytes } from 'node:crypto'

import { afterEach, describe, expect, it } from 'vitest'

import { newId } from '../../../src/protocol/ids.ts'
import { decodeManifest } from '../../../src/server/http/manifest/manifest-json.ts'
import { ManifestThread } from '../../../src/server/http/manifest/manifest-thread.ts'
import { eventually } from '../../support/eventually.ts'

const media = Array.from({ length: 300 }, () => newId(randomBytes))
const manifest = randomBytes(200_000)
const bodyOf = (value: unknown) => Uint8Array.from(Buffer.from(JSON.stringify(value)))
const body = () => bodyOf({ manifest: manifest.toString('base64url'), media })

let thread = new ManifestThread()
afterEach(async () => {
  await thread[Symbol.asyncDispose]()
  thread = new ManifestThread()
})

describe('the thread that decodes manifests', () => {
  it('decodes as the event loop would', async () => {
    const [one, two] = await Promise.all([
      thread.decode(body(), 'replaceManifest'),
      thread.decode(bodyOf({ manifest: 'YQ', media: [], ttlSeconds: 7 }), 'publishParcel'),
    ])
    expect(Buffer.from(one.manifest).equals(manifest)).toBe(true)
    expect(one.ids).toBe(media.join(''))
    const sha256 = createHash('sha256').update(media.join('')).update(manifest).digest('hex')
    expect(one.sha256).toBe(sha256)
    expect(decodeManifest(body(), 'replaceManifest').sha256).toBe(sha256)
    expect(two).toMatchObject({ ids: '', ttlSeconds: 7 })
  })

  it.each([
    ['not JSON', Uint8Array.from(Buffer.from('{"manifest":'))],
    ['another shape', bodyOf({ manifest: 'YQ', media: ['x'] })],
    ['an unknown field', bodyOf({ manifest: 'YQ', media: [], extra: 1 })],
    ['a manifest that is no base64url', bodyOf({ manifest: '+/', media: [] })],
  ])('refuses %s', async (_, bytes) => {
    await expect(thread.decode(bytes, 'replaceManifest')).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('ends when it has been idle, and begins again', async () => {
    await using idle = new ManifestThread({ idleMs: 1 })
    await idle.decode(body(), 'publishParcel')
    await eventually('it has ended', () => !idle.running)
    expect((await idle.decode(body(), 'publishParcel')).manifest.length).toBe(manifest.length)
  })

  it('refuses what it was asked when it is ended meanwhile', async () => {
    const asked = thread.decode(body(), 'publishParcel')
    const [refused] = await Promise.all([asked.catch((error: unknown) => error), thread[Symbol.asyncDispose]()])
    expect(refused).toMatchObject({ code: 'unavailable' })
  })
})
