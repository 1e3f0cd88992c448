/**
 * A receiver of a film that is being sent: `watch-client.ts DIST LINK`. Prints `picture` once the first pictures that
 * can be decoded are there (half a second of them: a fragment), `segment` once the first segment is, each read and
 * authenticated, and `complete` with the length when the item's file has come, all of it.
 */
import { join } from 'node:path'

import type * as Sdk from '../../src/client/node/index.ts'

/** Detects the first `mdat` of a file that arrives in pieces. */
class FirstFragment {
  readonly #whole: () => void
  #bytes: Buffer = Buffer.alloc(0)
  #isTold = false

  constructor(whole: () => void) {
    this.#whole = whole
  }

  push(bytes: Uint8Array): void {
    if (this.#isTold) return
    this.#bytes = Buffer.concat([this.#bytes, bytes])
    for (let at = 0; at + 8 <= this.#bytes.byteLength; at += this.#bytes.readUInt32BE(at)) {
      const end = at + this.#bytes.readUInt32BE(at)
      if (this.#bytes.toString('latin1', at + 4, at + 8) !== 'mdat' || end > this.#bytes.byteLength) continue
      this.#isTold = true
      return this.#whole()
    }
  }
}

const [, , dist = '', link = ''] = process.argv
const { createSealift } = (await import(join(dist, 'client/node/index.js'))) as typeof Sdk
await using sealift = createSealift({ stateDirectory: false })
const parcel = await sealift.open(link)
const [item] = parcel.items
if (!item) throw new Error('The parcel is empty')
await Promise.all([firstSegment(parcel, item), wholeFile(parcel, item)])

async function firstSegment(from: Sdk.Parcel, { index }: Sdk.ParcelItem): Promise<void> {
  for (let version: Sdk.Parcel = from; ; version = (await version.next()) ?? version) {
    const current = version.items[index]
    const film = current && version.film(current)
    const [track] = film?.description.renditions ?? []
    const [segment] = track?.segments ?? []
    if (!film || !track || !segment) continue
    const [start, length] = segment
    const fragment = new FirstFragment(() => console.log('picture'))
    await film.read(track, { start: 0, end: start + length }, { onBytes: bytes => fragment.push(bytes) })
    return console.log('segment')
  }
}

async function wholeFile(from: Sdk.Parcel, wanted: Sdk.ParcelItem): Promise<void> {
  let bytes = 0
  await from.download(wanted, {
    write: piece => {
      bytes += piece.byteLength
      return Promise.resolve()
    },
  })
  console.log(`complete ${bytes}`)
}
