/** Through Sealift: parts as its protocol has them, and ranges of the size of a part. */
import { ask } from '../requests.ts'
import { exchange, inLanes, partOf, type Way, type WayOptions } from './way.ts'

const OCTETS = { 'content-type': 'application/octet-stream' }

export function proxiedWay({ origin, partBytes, parallel, owner }: WayOptions): Way {
  const body = partOf(partBytes)
  return {
    upload: parts =>
      storeMedia({ origin, owner, sizeBytes: parts * partBytes }, upload =>
        inLanes(parts, parallel, index =>
          exchange({ method: 'PUT', url: `${upload}/parts/${index}`, headers: OCTETS, body }),
        ),
      ),
    download: (name, parts) =>
      inLanes(parts, parallel, index => {
        const range = `bytes=${index * partBytes}-${(index + 1) * partBytes - 1}`
        const url = `${origin}/v1/media/${name}`
        return exchange({ method: 'GET', url, headers: { range }, expectedBytes: partBytes })
      }),
    remove: name => removeMedia(origin, owner, name),
  }
}

interface NewMedia {
  readonly origin: string
  readonly owner: string
  readonly sizeBytes: number
}

/** Begins an upload, lets `send` store its parts, and completes it. @returns the media's id */
export async function storeMedia(
  { origin, owner, sizeBytes }: NewMedia,
  send: (upload: string) => Promise<void>,
): Promise<string> {
  const headers = { 'sealift-owner': owner }
  const begun = await ask({ method: 'POST', url: `${origin}/v1/uploads`, headers, json: { sizeBytes } })
  const { uploadId, mediaId } = JSON.parse(begun.body) as { uploadId: string; mediaId: string }
  const url = `${origin}/v1/uploads/${uploadId}`
  await send(url)
  await ask({ method: 'POST', url: `${url}/complete`, json: { sizeBytes } })
  return mediaId
}

export async function removeMedia(origin: string, owner: string, mediaId: string): Promise<void> {
  await ask({ method: 'DELETE', url: `${origin}/v1/media/${mediaId}`, headers: { 'sealift-owner': owner } })
}
