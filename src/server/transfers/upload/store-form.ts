import { isSealiftError, SealiftError } from '../../../protocol/errors.ts'
import { KINDS, type Kind } from '../../../protocol/schemas.ts'
import type { IdempotentCaller } from '../../access/caller.ts'
import type { MediaRecord } from '../../records/record-types.ts'
import type { ReceivedBytes } from './received-bytes.ts'
import { receiveMedia, type StoreMediaDeps, type IncomingMedia } from './store-media.ts'

/** One file of a form. The next one comes only when the bytes of this one were read or skipped. */
export interface FormFile {
  readonly field: string
  readonly source: ReceivedBytes
  /** Reads and discards the rest. */
  skip(): void
  /** Most bytes that the rest of the form may have; `null`: unknown. */
  atMostBytes(): number | null
}

export interface Form extends Pick<IncomingMedia, 'kind' | 'ttlSeconds' | 'maxDownloads'> {
  readonly files: AsyncIterable<FormFile>
  readonly maxFiles: number
}

export interface FormOutcome {
  readonly index: number
  readonly field: string
  readonly outcome: { readonly media: MediaRecord } | { readonly error: unknown }
}

/**
 * Stores the files of a form one after the other, each as a media item of its own; a refused file does not affect the
 * others. What ends the whole form (the client went away, a malformed form) is thrown.
 *
 * [Note: kinds in a form] The field name of a file is its kind if it is one of `KINDS`; else the form's kind applies.
 */
export async function storeForm(
  deps: StoreMediaDeps,
  caller: IdempotentCaller,
  { files, maxFiles, ...common }: Form,
  signal: AbortSignal,
): Promise<readonly FormOutcome[]> {
  const outcomes: FormOutcome[] = []
  for await (const file of files) {
    const index = outcomes.length
    const outcome =
      index < maxFiles
        ? await storeFile(deps, asFileCaller(caller, index), { file, common }, signal)
        : tooMany(maxFiles)
    file.skip()
    outcomes.push({ index, field: file.field, outcome })
  }
  if (outcomes.length === 0) throw new SealiftError('invalid_request', 'The form has no file')
  return outcomes
}

/** Each file of a repeated form has an idempotency key of its own, made from its index. */
function asFileCaller(caller: IdempotentCaller, index: number): IdempotentCaller {
  const { idempotency } = caller
  return idempotency === null
    ? caller
    : { ...caller, idempotency: { ...idempotency, key: `${idempotency.key} ${index}` } }
}

function tooMany(value: number): FormOutcome['outcome'] {
  const context = { limit: 'formMaxFiles', value }
  return {
    error: new SealiftError('too_large', `A form may have ${value} files; this and later ones are ignored`, {
      context,
    }),
  }
}

async function storeFile(
  deps: StoreMediaDeps,
  caller: IdempotentCaller,
  { file, common }: { file: FormFile; common: Pick<IncomingMedia, 'kind' | 'ttlSeconds' | 'maxDownloads'> },
  signal: AbortSignal,
): Promise<FormOutcome['outcome']> {
  const { field, source } = file
  const kind = kindOf(field) ?? common.kind
  const whole = { ...common, kind, sizeBytes: null, atMostBytes: () => file.atMostBytes(), sha256: null, source }
  try {
    return { media: await receiveMedia(deps, caller, whole, signal) }
  } catch (error) {
    if (signal.aborted || isSealiftError(error, 'aborted', 'stalled')) throw error
    return { error }
  }
}

function kindOf(field: string): Kind | undefined {
  return KINDS.find(kind => kind === field)
}
