/**
 * An response that comes before the whole request: proxies close such a connection at once, as their client has its
 * response.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'

import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

/** Requests of the first node for one part, by class of status. */
async function counted(status: string): Promise<number> {
  const page = await (await fetch(`${server.adminUrl ?? ''}/metrics`)).text()
  const line = new RegExp(`^sealift_request_seconds_count\\{route="putPart",status="${status}"\\} (\\d+)$`, 'm')
  return Number(line.exec(page)?.[1] ?? 0)
}

test('a refusal that gets a response counts as one, though the connection ends in the middle of the body', async () => {
  for (let node = 0; node < server.nodes; node += 1) {
    await using connection = await RawConnection.open(server.url)
    connection.head(`PUT /v1/uploads/${'a'.repeat(26)}/parts/0 HTTP/1.1`, 'Host: t', 'Content-Length: 8388608')
    connection.write(Buffer.alloc(100_000))
    expect(await connection.response()).toMatchObject({ status: 401, cut: false })
  }
  await eventually('the refusal is counted', async () => (await counted('4xx')) + (await counted('cut')) > 0)
  expect([await counted('4xx'), await counted('cut')]).toEqual([1, 0])
})
