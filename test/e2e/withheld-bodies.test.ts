/** Many connections that send all of the largest body but its last byte: the memory of the server stays flat. */
import { createHash, randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { newId } from '../../src/protocol/ids.ts'
import { newOwner } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { residentBytes } from '../support/process-facts.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startServerProcess } from '../support/server-process.ts'
import { tempDirectory } from '../support/temp-directory.ts'

const MiB = 2 ** 20
const TOKENS = Array.from({ length: 30 }, newOwner)
const config = {
  access: {
    tokens: TOKENS.map((token, at) => ({
      subject: `client-${at}`,
      sha256: createHash('sha256').update(token).digest('hex'),
    })),
  },
}
const manifest = Buffer.alloc(4 * MiB, 'a')
const json = Buffer.from(JSON.stringify({ media: Array(20_000).fill(newId(randomBytes)), manifest: '' }))
const jsonBody = Buffer.concat([
  json.subarray(0, -2),
  Buffer.alloc(Math.ceil((4 * MiB * 4) / 3), 'a'),
  json.subarray(-2),
])

interface Withheld {
  readonly line: (at: number) => string
  readonly headers: (at: number) => readonly string[]
  readonly body: Buffer
}

const bearer = (at: number) => `Authorization: Bearer ${TOKENS[at % TOKENS.length]}`
const OCTETS = 'Content-Type: application/octet-stream'

const ATTACKS: readonly (readonly [string, Withheld])[] = [
  [
    'a made-up owner secret',
    {
      line: () => `PUT /v1/parcels/${newId(randomBytes)}/manifest`,
      headers: () => [OCTETS, 'If-Match: "1"', `Sealift-Owner: ${newOwner()}`],
      body: manifest,
    },
  ],
  ['tokens of 30 clients', { line: () => 'POST /v1/parcels', headers: at => [OCTETS, bearer(at)], body: manifest }],
  [
    'tokens of 30 clients and JSON',
    {
      line: () => 'POST /v1/parcels',
      headers: at => ['Content-Type: application/json', bearer(at)],
      body: jsonBody,
    },
  ],
]

async function withhold(url: string, { line, headers, body }: Withheld, at: number): Promise<RawConnection> {
  const connection = await RawConnection.open(url)
  connection.head(`${line(at)} HTTP/1.1`, 'Host: localhost', `Content-Length: ${body.length}`, ...headers(at))
  connection.write(body.subarray(0, -1))
  return connection
}

describe('threat 78: 300 connections that withhold the last byte of the largest body', () => {
  test.each(ATTACKS)('with %s, cost a bounded memory, which comes back', async (_, attack) => {
    await using directory = await tempDirectory()
    await using server = await startServerProcess({ directory: directory.path, config })
    const before = residentBytes(server.pid)
    for (const count of [100, 300]) {
      const connections = await Promise.all(
        Array.from({ length: count }, (_unused, at) => withhold(server.url, attack, at)),
      )
      let most = 0
      // Responded is who was refused; the others are being received, or have taken all that the budget gives.
      await eventually(
        'every connection is refused or received',
        () => {
          most = Math.max(most, residentBytes(server.pid))
          return connections.filter(({ received }) => received.length > 0).length >= count - 20
        },
        30_000,
      )
      expect(most - before).toBeLessThan(160 * MiB)
      for (const connection of connections) connection.socket.destroy()
      const rest = () => residentBytes(server.pid) - before
      await eventually('the memory comes back', () => rest() < 90 * MiB, 30_000)
    }
  })
})
