// `npm run engines`: an S3 service, PostgreSQL and Valkey on this machine, with nothing in them, and a configuration
// that uses them. They run until Ctrl-C and leave nothing behind.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { stringify } from 'yaml'

import { startCeph } from '../test/support/engines/ceph.ts'
import { createDatabase, startPostgres } from '../test/support/engines/postgres.ts'
import { startValkey } from '../test/support/engines/valkey.ts'
import { requirements } from '../test/support/requirements.ts'
import { makeBucket } from '../test/support/s3-bucket.ts'

const ENGINES = ["Ceph's S3 gateway", 'PostgreSQL', 'Valkey or Redis']

const { values } = parseArgs({ options: { config: { type: 'string' } } })
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
process.exitCode = await main(values.config ?? null)

/** `file`: where to write the configuration; a folder of its own that goes again when none is named. */
async function main(file: string | null): Promise<number> {
  const missing = requirements.filter(each => ENGINES.includes(each.name) && !each.present())
  for (const { name, packages } of missing) {
    console.error(`${name} is not installed. On Debian: apt-get install ${packages.join(' ')}`)
  }
  if (missing.length > 0) return 1
  const folder = await mkdtemp(join(tmpdir(), 'sealift-engines-'))
  try {
    await using engines = new AsyncDisposableStack()
    console.log('Starting Ceph, PostgreSQL and Valkey; this takes about 15 seconds.')
    const config = await startAll(engines, folder)
    const written = file ?? join(folder, 'sealift.yaml')
    await writeFile(written, config, { mode: 0o600 })
    if (!stop.signal.aborted) await runUntilStopped(config, written)
    return 0
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function runUntilStopped(config: string, file: string): Promise<void> {
  console.log(`\n${config}`)
  console.log(`That is in ${file}. In another terminal, once or with several ports:`)
  console.log(`  npx sealift serve --config ${file}`)
  console.log(`  npx sealift doctor --config ${file}`)
  console.log('Ctrl-C ends the services and forgets what they hold.')
  // Listening for a signal keeps no process alive.
  const alive = setInterval(() => undefined, 60_000)
  await once(stop.signal, 'abort')
  clearInterval(alive)
}

/** @returns the configuration, as YAML */
async function startAll(engines: AsyncDisposableStack, folder: string): Promise<string> {
  const starting = [startCeph(), startPostgres(), startValkey()] as const
  // All of them are waited for, so that none is left behind when one fails.
  for (const each of await Promise.allSettled(starting)) if (each.status === 'fulfilled') engines.use(each.value)
  const [ceph, postgres, valkey] = await Promise.all(starting)
  const { prefix: _, ...s3 } = await makeBucket(ceph.facts)
  const { url } = await createDatabase(postgres.facts)
  return stringify({
    dataDirectory: join(folder, 'data'),
    storage: { kind: 's3', s3 },
    records: { kind: 'postgres', postgres: { url } },
    limits: { shared: 'valkey', valkey: { url: valkey.facts.url, prefix: `${randomBytes(4).toString('hex')}:` } },
    workers: 2,
  })
}
