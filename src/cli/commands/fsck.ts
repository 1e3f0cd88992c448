import { existsSync } from 'node:fs'

import { SealiftError } from '../../protocol/errors.ts'
import { formatSize } from '../../protocol/units.ts'
import {
  configFileOf,
  loadConfig,
  type ServerConfig,
  type Usage,
  type Finding,
  type FindingKind,
  type FsckReport,
  type HeldBack,
  canCheck,
  loadFsck,
  loadStores,
} from '../../server/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'

export interface FsckCommandOptions extends OutputOptions {
  readonly config?: string
  readonly data?: string
  readonly repair?: boolean
  readonly force?: boolean
}

const MEANINGS: Readonly<Record<FindingKind, string>> = {
  missing: 'bytes are gone; restore a backup, or end it with --repair',
  short: 'bytes are missing; restore a backup, or end it with --repair',
  surplus: 'more bytes than needed; harmless',
  misplaced: 'complete, but not where complete media are',
  orphan: 'no record knows it',
}

const HELD_BACK: Readonly<Record<HeldBack, string>> = {
  lacking: 'Most media lack their bytes. If this is the right store, --repair --force ends them; nothing was ended.',
  orphans:
    'Most of what is stored has no record. If these are the right records, --repair --force deletes it; nothing was deleted.',
}

/** `sealift fsck`: works beside a running server, and without one. */
export async function fsck(io: CliIo, options: FsckCommandOptions): Promise<number> {
  const output = new Output(io, options)
  const report = await run(io, await configOf(io, options), options)
  for (const finding of report.findings) await output.line(lineOf(finding))
  for (const { clientId, charged, actual, repaired } of report.wrongCharges) {
    const sizes = `charged ${sizeOf(charged)}, holds ${sizeOf(actual)}`
    await output.line(`charge     ${clientId}: ${sizes}${repaired ? ' (repaired)' : ''}`)
  }
  for (const held of report.heldBack) await output.line(HELD_BACK[held])
  if (report.youngUnknown > 0) {
    await output.line(
      `${report.youngUnknown} in the store that no record knows: younger than upkeep.orphanGrace, so kept.`,
    )
  }
  await output.line(conclusionOf(report))
  await output.result(report)
  return report.ok ? EXIT.ok : EXIT.failed
}

async function configOf(io: CliIo, { config, data }: FsckCommandOptions): Promise<ServerConfig> {
  const overrides = data === undefined ? {} : { dataDirectory: data }
  const found = await loadConfig({ file: config ?? configFileOf(io.env), environment: io.env, overrides })
  // Opening the stores would make empty ones, in which nothing is wrong.
  if (found.records.kind !== 'sqlite' || existsSync(found.records.file)) return found
  const message = `There are no records at ${found.records.file}. Name the server's configuration (--config) or its data directory (--data).`
  throw new SealiftError('invalid_request', message)
}

async function run(
  io: CliIo,
  config: ServerConfig,
  { repair = false, force = false }: FsckCommandOptions,
): Promise<FsckReport> {
  await using resources = new AsyncDisposableStack()
  const { checkStorage, openStores } = await loadStores()
  const { checkConsistency: compare } = await loadFsck()
  // One line that names the setting, before the records are asked for all they hold.
  await checkStorage(config)
  const { blobs, records } = await openStores(config, resources, { reserve: false })
  if (!canCheck(blobs)) throw new SealiftError('internal', 'This store cannot be checked')
  // Only a repair may change anything, the schema included.
  await (repair ? records.migrate() : records.checkSchema())
  const modifiedBefore = Date.now() - config.upkeep.orphanGraceMs
  return await compare({ records, blobs, repair, force, modifiedBefore }, io.signal)
}

function sizeOf({ storedBytes, storedRows }: Usage): string {
  return `${formatSize(storedBytes)} and ${storedRows} records`
}

function lineOf({ kind, blobId, expectedBytes, storedBytes, repaired }: Finding): string {
  const expected = expectedBytes === null ? '' : `, ${formatSize(expectedBytes)} expected`
  const sizes = `${storedBytes === null ? 'nothing' : formatSize(storedBytes)} stored${expected}`
  return `${kind.padEnd(9)}  ${blobId}: ${sizes}; ${MEANINGS[kind]}${repaired ? ' (repaired)' : ''}`
}

function conclusionOf(report: FsckReport): string {
  const counted = `${report.checkedBlobs} media on record, ${report.storedBlobs} in the store`
  if (!report.ok) return `Something is wrong (${counted}). See docs/operations.md for what to do.`
  const repaired = report.findings.length + report.wrongCharges.length > 0
  return `${repaired ? 'All is well now' : 'All is well'} (${counted}).`
}
