/** tus 1.0: a creation, then one PATCH with everything; the protocol has no parallel parts. */
import { ask, timed } from './requests.ts'

const [, , origin = '', size = '0'] = process.argv
const version = { 'tus-resumable': '1.0.0' }

await timed(async () => {
  const created = await ask({ method: 'POST', url: `${origin}/files`, headers: { ...version, 'upload-length': size } })
  const url = new URL(created.headers.location ?? '', origin).href
  await ask({
    method: 'PATCH',
    url,
    headers: { ...version, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    bodyBytes: Number(size),
  })
  return url
})
