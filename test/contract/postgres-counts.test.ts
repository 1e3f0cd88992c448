/** Counted media, forwarded and downloaded by two nodes at once. */
import { expect, it } from 'vitest'

import { openPostgresRecordStore } from '../../src/server/records/postgres/index.ts'
import { freshId } from '../support/blob-bytes.ts'
import { createDatabase, postgresEngine } from '../support/engines/postgres.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { completeMedia, LATER, newLease, NOW, PLENTY } from '../support/record-fixtures.ts'

const MOST = 40
const OVER = ['gone', 'downloads_exhausted', 'invalid_request']

it('nodes forward, download and end counted media without ever waiting in a circle, nor giving more than was allowed', async () => {
  await using database = await createDatabase(await sharedEngine(postgresEngine))
  const open = () =>
    openPostgresRecordStore({ url: database.url, poolSize: 8, connectTimeoutMs: 60_000, statementTimeoutMs: 10_000 })
  await using first = await open()
  await using second = await open()
  await first.migrate()
  const nodeOf = (index: number) => (index % 2 === 0 ? first : second)
  const owner = { clientId: 'alice', ownerHash: null }
  const source = await completeMedia(first, 10, { lease: { maxDownloads: MOST } })
  const made: string[] = [source.mediaId]
  const begun: string[] = []
  const failures: unknown[] = []
  const pick = () => made[Math.floor(Math.random() * made.length)] ?? ''
  const unlessOver = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      if (!OVER.includes((error as { code?: string }).code ?? '')) failures.push(error)
    }
  }
  const crowd = Array.from({ length: 120 }, async (_, index) => {
    const node = nodeOf(index)
    const maxDownloads = index % 2 === 0 ? 1 + (index % 9) : null
    const lease = newLease({ clientId: `client ${index % 3}`, maxDownloads })
    const claim = { clientId: lease.clientId, ownerHash: null }
    await unlessOver(async () => {
      await node.addLease({ fromMediaId: pick(), lease, caps: PLENTY, idempotency: null })
      made.push(lease.mediaId)
    })
    for (const mediaId of [pick(), pick()]) {
      const grantId = freshId()
      await unlessOver(async () => {
        await nodeOf(index + 1).takeDownload(mediaId, { grantId, expiresAt: LATER }, NOW)
        if (index % 5 === 0) await node.returnDownload(mediaId, grantId)
        else begun.push(grantId)
      })
    }
    if (index % 7 === 0 && made.includes(lease.mediaId)) await node.endLease(lease.mediaId, claim, NOW)
  })
  await Promise.all(crowd)
  expect(failures).toEqual([])
  expect(begun.length).toBeLessThanOrEqual(MOST)
  expect(await second.findMedia(source.mediaId)).toMatchObject({ downloadsUsed: begun.length })
  await second.endLease(source.mediaId, owner, NOW)
  for (const mediaId of made) expect((await first.findMedia(mediaId))?.endedAt).not.toBeNull()
  const janitor = await database.connect()
  const { rows } = await janitor.query('select deadlocks from pg_stat_database where datname = current_database()')
  await janitor.end()
  expect(rows).toEqual([{ deadlocks: '0' }])
  expect(await first.auditUsage(false)).toEqual([])
})
