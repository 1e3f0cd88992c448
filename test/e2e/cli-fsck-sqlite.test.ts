import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import BetterSqlite3 from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'

import { runCli } from '../support/running-cli.ts'
import { startServe } from '../support/serving.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-fsck-'))

afterAll(() => rmSync(home, { recursive: true, force: true }))

const newHome = (): string => mkdtempSync(join(home, 'case-'))

describe('fsck of SQLite', () => {
  it('changes not even the schema of older records without --repair', async () => {
    const directory = newHome()
    const serving = await startServe(directory)
    serving.running.child.kill('SIGTERM')
    await serving.running.result
    const database = new BetterSqlite3(join(directory, 'data', 'records.sqlite'))
    const steps = () => database.prepare('select count(*) from kysely_migration').pluck().get()
    const known = steps()
    database.exec(`drop table named_leases; drop index client_usage_idle; alter table client_usage drop column idle;
      drop index leases_held; drop index leases_over; create index leases_of_blob on leases (blob_id);
      drop index uploads_held; alter table blobs drop column addresses_until;
      delete from kysely_migration where name > '0001_first'`)
    const refused = await runCli(['fsck', '-c', serving.configFile])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('older version of Sealift')
    expect(steps()).toBe(1)
    expect((await runCli(['fsck', '--repair', '-c', serving.configFile])).code).toBe(0)
    expect(steps()).toBe(known)
    database.close()
  })
})
