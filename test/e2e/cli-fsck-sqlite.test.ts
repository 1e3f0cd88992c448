import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import BetterSqlite3 from 'better-sqlite3'
import { afterAll, describe, expect, it } from 'vitest'

import { openSqliteDatabase } from '../../src/server/records/sqlite/database.ts'
import { makeOldSchema } from '../support/old-schema.ts'
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
    const file = join(directory, 'data', 'records.sqlite')
    const stepsIn = (database: BetterSqlite3.Database) =>
      database.prepare('select count(*) from kysely_migration').pluck().get()
    const made = new BetterSqlite3(file)
    const known = stepsIn(made)
    made.close()
    rmSync(file)
    {
      await using old = openSqliteDatabase({ file, busyTimeoutMs: 5000, cacheBytes: 2 ** 20 })
      await old.exclusively(db => makeOldSchema(db, 'sqlite', '0001_first'))
    }
    const database = new BetterSqlite3(file)
    const steps = () => stepsIn(database)
    const refused = await runCli(['fsck', '-c', serving.configFile])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('older version of Sealift')
    expect(refused.stderr).not.toContain('Try again')
    expect(steps()).toBe(1)
    expect((await runCli(['fsck', '--repair', '-c', serving.configFile])).code).toBe(0)
    expect(steps()).toBe(known)
    database.close()
  })
})
