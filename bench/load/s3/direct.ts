/** Past Sealift: it hands out addresses and counts; the bytes go between client and service. */
import { HashThread } from '../../../src/client/node/hash-thread.ts'
import { hashingHere } from '../../../src/client/send/part-hashing.ts'
import type { DirectAddress, DirectRead } from '../../../src/protocol/schemas.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'
import { ask } from '../requests.ts'
import { removeMedia, storeMedia } from './proxied.ts'
import { exchange, inLanes, partOf, type Way, type WayOptions } from './way.ts'

export function directWay({ origin, partBytes, parallel, owner }: WayOptions): Way {
  // As the SDK hashes: beside the thread that sends.
  const hashing = new HashThread(hashingHere(nodeSuite))
  const body = hashing.allocate(partBytes)
  body.set(partOf(partBytes))
  const put = async (upload: string, index: number): Promise<void> => {
    // Every part of a real media is another one, so each is hashed.
    const md5 = Buffer.from(await hashing.md5(body)).toString('base64')
    const json = { sizeBytes: partBytes, md5 }
    const response = await ask({ method: 'POST', url: `${upload}/parts/${index}/direct`, json })
    const { url, headers } = JSON.parse(response.body) as DirectAddress
    await exchange({ method: 'PUT', url, headers, body })
    await ask({ method: 'POST', url: `${upload}/parts/${index}/stored`, json })
  }
  return {
    upload: parts =>
      storeMedia({ origin, owner, sizeBytes: parts * partBytes }, upload =>
        inLanes(parts, parallel, index => put(upload, index)),
      ),
    async download(name, parts) {
      for (let first = 0; first < parts;) {
        const json = { start: first * partBytes, end: parts * partBytes }
        const response = await ask({ method: 'POST', url: `${origin}/v1/media/${name}/direct`, json })
        const read = JSON.parse(response.body) as DirectRead
        await inLanes(read.parts.length, parallel, async at => {
          const { url = '', headers = {} } = read.parts[at] ?? {}
          await exchange({ method: 'GET', url, headers, expectedBytes: partBytes })
        })
        await ask({ method: 'DELETE', url: `${origin}/v1/direct/${read.transferId}` })
        first += read.parts.length
      }
    },
    remove: name => removeMedia(origin, owner, name),
  }
}
