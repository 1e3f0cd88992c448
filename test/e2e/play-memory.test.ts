import { afterAll, beforeAll, expect, test } from 'vitest'

import { type BytesResource, fileResource } from '../../src/cli/play/resource.ts'
import { trackResource } from '../../src/cli/play/track-resource.ts'
import { FollowedParcel } from '../../src/cli/play/followed-parcel.ts'
import { fetchTransport } from '../../src/client/transport/fetch-transport.ts'
import type { NodeSealift, SendItem } from '../../src/client/node/index.ts'
import type { Transport } from '../../src/client/transport/transport.ts'
import { byteFilm } from '../support/byte-film.ts'
import { clientIn, content, digest } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
const bytes = content('what is read', 16 * MIB)
/** Two pieces, and as much again of chunks that a range begins and ends within. */
const BOUND_BYTES = 3 * MIB

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift
/** Sealed bytes asked of the server so far. */
let asked = 0

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url, transport: counting(fetchTransport()) })
})

afterAll(async () => {
  await sealift[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

function counting(inner: Transport): Transport {
  return {
    request: request => {
      const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers['range'] ?? '') ?? []
      if (start !== undefined && end !== undefined) asked += Number(end) - Number(start) + 1
      return inner.request(request)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

const none = { onSenderGone: () => undefined, onTrouble: () => undefined }

async function followed(item: SendItem): Promise<FollowedParcel> {
  const { link } = await sealift.send([item])
  return new FollowedParcel(await sealift.open(link), none)
}

/** Reads all of it, and tells how far what was asked for was ever ahead of what had been read. */
async function mostAhead(resource: BytesResource | null): Promise<number> {
  if (!resource) throw new Error('There is nothing to read')
  asked = 0
  let most = 0
  const read: Uint8Array[] = []
  let readBytes = 0
  for await (const piece of resource.read(null, new AbortController().signal)) {
    // A reader that takes its time: what is going to be asked for meanwhile has been.
    await new Promise(resolve => setTimeout(resolve, 5))
    most = Math.max(most, asked - readBytes)
    readBytes += piece.byteLength
    read.push(Uint8Array.from(piece))
  }
  expect(digest(Buffer.concat(read))).toBe(digest(bytes))
  return most
}

test('of a plain file, little is fetched before it is read', async () => {
  using parcel = await followed({ name: 'plain.bin', source: bytes })
  const [item] = parcel.parcel.items
  if (!item) throw new Error('The parcel is empty')
  expect(await mostAhead(fileResource(parcel, item))).toBeLessThanOrEqual(BOUND_BYTES)
})

test('of a track, too', async () => {
  using parcel = await followed({ name: 'film.mp4', source: content('own', 100), film: byteFilm(bytes) })
  const track = trackResource(parcel, 0, ({ description }) => description.renditions[0])
  expect(await mostAhead(track)).toBeLessThanOrEqual(BOUND_BYTES)
})
