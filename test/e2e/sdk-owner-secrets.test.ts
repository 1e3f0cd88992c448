/** A kept owner secret goes to the server it belongs to and to no other. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import { once } from 'node:events'
import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'

import { runCli } from '../../src/cli/program.ts'
import { parseLink } from '../../src/client/link.ts'
import { isSealiftError, type Sent } from '../../src/client/node/index.ts'
import { content } from '../support/sdk.ts'
import { sdkPerTest } from '../support/sdk-per-test.ts'
import { fakeIo } from '../unit/cli/fake-io.ts'

const stage = sdkPerTest()
let evil: Server
let evilUrl: string
/** Everything that the evil server was sent. */
let seen: { readonly method: string; readonly headers: IncomingHttpHeaders; readonly body: string }[]
let status: number
let sent: Sent

beforeEach(async () => {
  seen = []
  status = 404
  evil = createServer((req, res) => {
    let body = ''
    req.on('data', (bytes: Buffer) => (body += bytes.toString('latin1')))
    req.once('end', () => {
      seen.push({ method: req.method ?? '', headers: req.headers, body })
      const problem = JSON.stringify({ type: 'about:blank', title: 'x', status, code: 'not_found' })
      if (status === 204) res.writeHead(204).end()
      else res.writeHead(status, { 'content-type': 'application/problem+json' }).end(problem)
    })
  }).listen(0, '127.0.0.1')
  await once(evil, 'listening')
  evilUrl = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`
  sent = await stage.sealift.send([{ name: 'a.txt', source: content('a', 100) }])
})

afterEach(async () => {
  vi.unstubAllEnvs()
  evil.closeAllConnections()
  evil.close()
  await once(evil, 'close').catch(() => undefined)
})

const elsewhere = (): string => sent.link.replace(stage.server.url, evilUrl)
const parcels = (): string => join(stage.home.path, 'state', 'parcels')

function expectNothingTold(): void {
  expect(seen.length).toBeGreaterThan(0)
  expect(JSON.stringify(seen)).not.toContain(sent.ownerSecret)
  for (const { headers } of seen) expect(headers['sealift-owner']).toBeUndefined()
}

/** As versions kept it that did not note the server. */
async function keepAsBefore(): Promise<void> {
  const { ownerSecret, expiresAt, parcelId } = sent
  const [name = ''] = await readdir(parcels())
  await rename(join(parcels(), name), join(parcels(), `${parcelId}.json`))
  await writeFile(join(parcels(), `${parcelId}.json`), JSON.stringify({ ownerSecret, expiresAt }))
}

describe('the owner secret of a parcel', () => {
  test.each([
    [404, 'forbidden'],
    [204, true],
  ])('is neither sent to another server with the same id, nor forgotten for it (%i)', async (response, outcome) => {
    status = response
    const deleting = stage.sealift.delete(elsewhere())
    expect(await deleting.catch((error: unknown) => isSealiftError(error) && error.code)).toBe(outcome)
    expectNothingTold()
    expect(await stage.sealift.delete(sent.link)).toBe(true)
  })

  test('is not overwritten by another server that gives out the same id', async () => {
    const [name = ''] = await readdir(parcels())
    const before = await readFile(join(parcels(), name), 'utf8')
    const { OwnedParcels } = await import('../../src/client/node/state/owned-parcels.ts')
    const owned = new OwnedParcels(join(stage.home.path, 'state'))
    await owned.remember({ link: elsewhere(), ownerSecret: 'x'.repeat(43), expiresAt: sent.expiresAt })
    expect(await readFile(join(parcels(), name), 'utf8')).toBe(before)
    expect(await stage.sealift.delete(sent.link)).toBe(true)
  })

  test('is not sent to the same host on another path', async () => {
    const { server } = parseLink(sent.link)
    await expect(stage.sealift.delete(sent.link.replace(server, `${server}/b`))).rejects.toMatchObject({
      code: 'forbidden',
    })
    expect(await stage.sealift.delete(sent.link)).toBe(true)
  })

  test('is drawn anew for a forward, so that no server learns that of another', async () => {
    await expect(stage.sealift.forward(elsewhere())).rejects.toMatchObject({ code: 'not_found' })
    expectNothingTold()
  })
})

describe('an owner secret that was kept without its server', () => {
  beforeEach(keepAsBefore)

  test('is sent nowhere, and what to do is told', async () => {
    for (const link of [elsewhere(), sent.link]) {
      await expect(stage.sealift.delete(link)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('name the server') as string,
      })
    }
    expectNothingTold()
  })

  test('is used for the server that its user names, and for no other', async () => {
    const options = { server: stage.server.url }
    await expect(stage.sealift.delete(elsewhere(), undefined, options)).rejects.toMatchObject({ code: 'forbidden' })
    expectNothingTold()
    expect(await stage.sealift.delete(sent.link, undefined, options)).toBe(true)
    expect(await readdir(parcels())).toEqual([])
  })

  test.each([[[]], [['--token', 'a-token-for-the-link']]])(
    'is not vouched for by a default, nor by a token (%j)',
    async token => {
      vi.stubEnv('XDG_STATE_HOME', stage.home.path)
      await rename(join(stage.home.path, 'state'), join(stage.home.path, 'sealift'))
      const io = fakeIo()
      expect(await runCli(['rm', elsewhere(), ...token], io)).toBe(1)
      expect(io.err()).toContain('--server URL')
      expectNothingTold()
      const named = fakeIo()
      expect(await runCli(['rm', sent.link, '--server', stage.server.url], named)).toBe(0)
      expect(named.err()).toContain('Deleted')
    },
  )
})
