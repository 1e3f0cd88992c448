import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApi, type Api } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const md5 = 'AAAAAAAAAAAAAAAAAAAAAA=='

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer()
  api = createApi(server.url)
})
afterAll(() => server.stop())

test('a server whose bytes pass it says so, and gives out no addresses', async () => {
  const begun = await api.begin({ json: { sizeBytes: 5 } })
  expect(begun.transfer).toBe('proxy')
  const { uploadId } = begun
  for (const name of ['directPart', 'confirmPart'] as const) {
    const response = await api.call(name, { uploadId, index: 0 }, { json: { sizeBytes: 5, md5 } })
    expect(response).toMatchObject({ status: 409, code: 'not_direct' })
  }
  const { mediaId } = await api.store(Buffer.from('hello'))
  expect(await api.call('directRead', { mediaId }, { json: { start: 0 } })).toMatchObject({ code: 'not_direct' })
})

test('ending a transfer that is unknown is no error', async () => {
  expect(await api.call('endDirect', { transferId: 'a'.repeat(26) })).toMatchObject({ status: 204 })
})
