/**
 * Compares records with stored bytes, both ways, and the quota usage of clients with what they hold. Safe beside a
 * running server: what changes meanwhile is checked again, and young files are skipped.
 *
 * Without `repair` it changes nothing. With `repair` it deletes orphans and parts past the end, moves complete blobs
 * into place, ends media items whose bytes are lost, so that readers get `gone`, and corrects wrong charges.
 *
 * Most media items without bytes, or most bytes without a record, look like the wrong store or the wrong records:
 * they are held back, neither ended nor deleted, unless `force` is set.
 */
import { isSealiftError } from '../../protocol/errors.ts'
import type { BlobId, BlobStore, ChecksBlobs } from '../blobs/blob-store.ts'
import type { RecordStore } from '../records/record-store.ts'
import type { ClientId, Usage } from '../records/record-types.ts'
import {
  type CheckedBlob,
  checkBlob,
  checkBlobs,
  findOrphans,
  lacksBytes,
  lookSuspicious,
  unusedBytesOf,
} from './check-blobs.ts'

export type FindingKind =
  /** No bytes are stored for a record. */
  | 'missing'
  /** Fewer bytes than in the record. */
  | 'short'
  /** More bytes than a complete blob has: harmless, nothing reads them. Repaired where they are separate objects. */
  | 'surplus'
  /** Complete in its record, but not moved into the folder of complete blobs. */
  | 'misplaced'
  /** Stored bytes without a record. */
  | 'orphan'

export interface Finding {
  readonly kind: FindingKind
  readonly blobId: BlobId
  /** `null` for an orphan. */
  readonly expectedBytes: number | null
  /** `null` when nothing is stored. */
  readonly storedBytes: number | null
  readonly repaired: boolean
}

export interface WrongChargeFinding {
  readonly clientId: ClientId
  readonly charged: Usage
  readonly actual: Usage
  readonly repaired: boolean
}

export interface FsckReport {
  /** True when nothing is wrong any more; `surplus` does not count. */
  readonly ok: boolean
  /** Live blobs compared with what is stored. */
  readonly checkedBlobs: number
  /** Blobs found in the store. */
  readonly storedBlobs: number
  /** Of those, blobs without a record that are too young to be orphans: neither a finding nor deleted. */
  readonly youngUnknown: number
  readonly findings: readonly Finding[]
  readonly wrongCharges: readonly WrongChargeFinding[]
  /** Not repaired, because so many findings have a likelier cause. */
  readonly heldBack: readonly HeldBack[]
}

/** `lacking`: media items that lack bytes. */
export type HeldBack = 'lacking' | 'orphans'

export interface FsckOptions {
  readonly blobs: BlobStore & ChecksBlobs
  readonly records: RecordStore
  readonly repair: boolean
  /** Repairs what would be held back, too. */
  readonly force?: boolean
  /** Files changed at or after this time (ms) are not called orphans. */
  readonly modifiedBefore: number
}

export async function checkConsistency(options: FsckOptions, signal: AbortSignal): Promise<FsckReport> {
  const live = await checkLive(options, signal)
  const store = await checkStored(options, signal)
  const wrongCharges = await checkCharges(options)
  const findings = [...live.findings, ...store.findings]
  const open = findings.some(({ kind, repaired }) => kind !== 'surplus' && !repaired)
  return {
    ok: !open && wrongCharges.every(({ repaired }) => repaired),
    checkedBlobs: live.count,
    storedBlobs: store.count,
    youngUnknown: store.youngUnknown,
    findings,
    wrongCharges,
    heldBack: [...(live.heldBack ? ['lacking' as const] : []), ...(store.heldBack ? ['orphans' as const] : [])],
  }
}

async function checkLive(options: FsckOptions, signal: AbortSignal) {
  const findings: Finding[] = []
  const lacking: CheckedBlob[] = []
  let count = 0
  for await (const checked of checkBlobs(options, signal)) {
    count += 1
    const kind = judge(checked)
    if (kind === 'missing' || kind === 'short') lacking.push(checked)
    else if (kind) findings.push(await describe(options, kind, checked))
  }
  const heldBack = options.repair && options.force !== true && lacking.length > count / 2
  for (const checked of lacking) {
    signal.throwIfAborted()
    const repaired = options.repair && !heldBack && (await endLacking(options, checked))
    findings.push(toFinding(checked, checked.stored ? 'short' : 'missing', repaired))
  }
  return { findings, count, heldBack }
}

/** Checked again: much time may have passed. */
async function endLacking(options: FsckOptions, { blob }: CheckedBlob): Promise<boolean> {
  if (!lacksBytes(await checkBlob(options, blob))) return false
  return (await options.records.endBlob(blob.blobId, await options.records.databaseTime())) > 0
}

function judge(checked: CheckedBlob): FindingKind | null {
  const { blob, stored, expectedBytes } = checked
  if (lacksBytes(checked)) return stored ? 'short' : 'missing'
  if (!stored || blob.state !== 'complete') return null
  if (stored.complete === false) return 'misplaced'
  return stored.sizeBytes > expectedBytes ? 'surplus' : null
}

async function describe(options: FsckOptions, kind: FindingKind, checked: CheckedBlob): Promise<Finding> {
  const mayRepair = kind === 'misplaced' || (kind === 'surplus' && unusedBytesOf(options.blobs, checked) > 0)
  const repaired = options.repair && mayRepair && (await putInOrder(options.blobs, checked))
  return toFinding(checked, kind, repaired)
}

function toFinding({ blob, stored, expectedBytes }: CheckedBlob, kind: FindingKind, repaired: boolean): Finding {
  return { kind, blobId: blob.blobId, expectedBytes, storedBytes: stored?.sizeBytes ?? null, repaired }
}

/** Completing a blob again moves it into place and deletes parts past its end. */
async function putInOrder(blobs: BlobStore, { blob, expectedBytes }: CheckedBlob): Promise<boolean> {
  try {
    await blobs.complete(blob, expectedBytes)
    return true
  } catch (error) {
    if (isSealiftError(error)) return false
    throw error
  }
}

async function checkStored(options: FsckOptions, signal: AbortSignal) {
  const { orphans: unknown, blobs } = await findOrphans(options, Infinity, signal)
  const found = { orphans: unknown.filter(({ modifiedAt }) => modifiedAt < options.modifiedBefore), blobs }
  const heldBack = options.repair && options.force !== true && lookSuspicious(found)
  const findings: Finding[] = []
  for (const { blobId, sizeBytes } of found.orphans) {
    signal.throwIfAborted()
    const repaired = options.repair && !heldBack && (await remove(options, blobId))
    findings.push({ kind: 'orphan', blobId, expectedBytes: null, storedBytes: sizeBytes, repaired })
  }
  return { findings, count: blobs, youngUnknown: unknown.length - found.orphans.length, heldBack }
}

/** Checked again: the walk may have taken hours. */
async function remove({ blobs, records }: FsckOptions, blobId: BlobId): Promise<boolean> {
  try {
    if ((await records.knownBlobs([blobId])).size > 0) return false
    await blobs.delete(blobId)
    return true
  } catch (error) {
    if (isSealiftError(error)) return false
    throw error
  }
}

async function checkCharges({ records, repair }: FsckOptions): Promise<readonly WrongChargeFinding[]> {
  const wrong = await records.auditUsage(repair)
  return wrong.map(charge => ({ ...charge, repaired: repair }))
}
