/** Sealift: begin, parts in parallel, complete. */
import { ask, timed } from './requests.ts'

const [, , origin = '', size = '0', parallel = '4', owner = ''] = process.argv
const sizeBytes = Number(size)

interface Begun {
  readonly mediaId: string
  readonly uploadId: string
  readonly partBytes: number
}

await timed(async () => {
  const begun = await ask({
    method: 'POST',
    url: `${origin}/v1/uploads`,
    headers: { 'sealift-owner': owner },
    json: { sizeBytes },
  })
  const { uploadId, mediaId, partBytes } = JSON.parse(begun.body) as Begun
  const url = `${origin}/v1/uploads/${uploadId}`
  let next = 0
  const send = async (): Promise<void> => {
    for (let index = next++; index * partBytes < sizeBytes; index = next++) {
      const bodyBytes = Math.min(partBytes, sizeBytes - index * partBytes)
      await ask({ method: 'PUT', url: `${url}/parts/${index}`, bodyBytes })
    }
  }
  await Promise.all(Array.from({ length: Number(parallel) }, send))
  await ask({ method: 'POST', url: `${url}/complete`, json: { sizeBytes } })
  return mediaId
})
