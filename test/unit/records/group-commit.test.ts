import { join } from 'node:path'

import BetterSqlite3 from 'better-sqlite3'
import { Kysely, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { GroupCommit } from '../../../src/server/records/sqlite/group-commit.ts'
import type { Schema } from '../../../src/server/records/schema.ts'
import { sqliteDialect } from '../../../src/server/records/sqlite/dialect.ts'
import { type TempDirectory, tempDirectory } from '../../support/temp-directory.ts'

/** Counts what goes through `exec`: the frame of every transaction. */
class CountingDatabase extends BetterSqlite3 {
  readonly executed: string[] = []
  override exec(text: string): this {
    this.executed.push(text)
    super.exec(text)
    return this
  }
}

describe('commits shared by waiting callers', () => {
  let directory: TempDirectory
  let database: CountingDatabase
  let observer: BetterSqlite3.Database
  let commits: GroupCommit

  const insert = (value: number) =>
    commits.write(async db => {
      await sql`insert into facts values (${value})`.execute(db)
      return value
    })
  const facts = () => observer.prepare('select value from facts order by value').pluck().all()
  const commitCount = () => database.executed.filter(text => text === 'commit').length

  beforeEach(async () => {
    directory = await tempDirectory()
    const file = join(directory.path, 'facts.db')
    database = new CountingDatabase(file)
    database.pragma('journal_mode = WAL')
    database.exec('create table facts (value integer primary key)')
    observer = new BetterSqlite3(file, { readonly: true })
    commits = new GroupCommit(database, new Kysely<Schema>({ dialect: sqliteDialect(database) }))
  })
  afterEach(async () => {
    observer.close()
    database.close()
    await directory[Symbol.asyncDispose]()
  })

  it('returns each caller its own result, once all of them are committed', async () => {
    const results = await Promise.all(
      Array.from({ length: 100 }, async (_, value) => {
        const result = await insert(value)
        expect(facts()).toContain(value)
        return result
      }),
    )
    expect(results).toEqual(Array.from({ length: 100 }, (_, value) => value))
    expect(commitCount()).toBeLessThan(10)
  })

  it('shows nothing to others before it is committed', async () => {
    const seenInside = await commits.write(async db => {
      await sql`insert into facts values (1)`.execute(db)
      return facts()
    })
    expect(seenInside).toEqual([])
    expect(facts()).toEqual([1])
  })

  it('rolls back the one that fails, and only that one', async () => {
    const refused = new Error('refused')
    const outcomes = await Promise.allSettled([
      insert(1),
      commits.write(async db => {
        await sql`insert into facts values (2)`.execute(db)
        throw refused
      }),
      insert(3),
      insert(1),
    ])
    expect(outcomes.map(outcome => outcome.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(outcomes[1]).toMatchObject({ reason: refused })
    expect(outcomes[3]).toMatchObject({ reason: { code: 'unavailable' } })
    expect(facts()).toEqual([1, 3])
  })

  it('fails everyone of a commit that fails, and goes on with the next', async () => {
    let failing = true
    const exec = database.exec.bind(database)
    database.exec = text => {
      if (failing && text === 'commit') {
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_FSYNC' })
      }
      return exec(text)
    }
    const outcomes = await Promise.allSettled([insert(1), insert(2)])
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } })
    failing = false
    expect(await insert(2)).toBe(2)
    expect(facts()).toEqual([2])
  })

  it('says that the disk is full, keeps what is there, and goes on when there is room', async () => {
    await insert(1)
    const pages = Number(database.pragma('page_count', { simple: true }))
    database.pragma(`max_page_count = ${pages + 2}`)
    const fill = () =>
      commits.write(async db => {
        await sql`create table ballast as select zeroblob(100000) as bytes`.execute(db)
      })
    const outcomes = await Promise.allSettled([insert(2), fill()])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'storage_full' } })
    expect(facts()).toContain(1)
    database.pragma(`max_page_count = ${pages + 1000}`)
    await fill()
    await insert(3)
    expect(facts()).toEqual(expect.arrayContaining([1, 3]))
  })

  it('runs exclusive work between two commits, outside of any transaction', async () => {
    const order: string[] = []
    const work = [
      insert(1).then(() => order.push('first')),
      commits.exclusively(async () => {
        order.push(`exclusive, in a transaction: ${database.inTransaction}`)
      }),
      insert(2).then(() => order.push('second')),
    ]
    await Promise.all(work)
    await commits.idle()
    expect(order).toContain('exclusive, in a transaction: false')
    expect(facts()).toEqual([1, 2])
  })
})
