import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { BlobId, StoredBlob } from '../blob-store.ts'
import type { StoredObject } from './s3-service.ts'

/** Names of objects: `<prefix>media/<blob id>/<part index>`. */
export class ObjectNames {
  /** The prefix of all parts. */
  readonly media: string
  /** The prefix of objects of a probe. */
  readonly probe: string

  constructor(prefix: string) {
    this.media = `${prefix}media/`
    this.probe = `${prefix}probe/`
  }

  /** The prefix of all parts of one blob. Only an id ever becomes part of a name. */
  blob(blobId: BlobId): string {
    if (!isId(blobId)) throw new SealiftError('internal', 'A blob id has the wrong shape')
    return `${this.media}${blobId}/`
  }

  part(blobId: BlobId, index: number): string {
    if (!Number.isSafeInteger(index) || index < 0)
      throw new SealiftError('internal', 'A part index has the wrong shape')
    return `${this.blob(blobId)}${index}`
  }

  /** `null` for a foreign object. */
  parse(name: string): { readonly blobId: BlobId; readonly index: number } | null {
    if (!name.startsWith(this.media)) return null
    const [blobId = '', index = '', ...rest] = name.slice(this.media.length).split('/')
    if (rest.length > 0 || !isId(blobId) || !/^(0|[1-9]\d{0,14})$/.test(index)) return null
    return { blobId, index: Number(index) }
  }
}

/** Sums up the parts of each blob. The list is in order of names, so the parts of one blob are neighbours. */
export async function* groupByBlob(
  names: ObjectNames,
  objects: AsyncIterable<StoredObject>,
): AsyncGenerator<StoredBlob> {
  const empty = { blobId: '', complete: null, sizeBytes: 0, modifiedAt: 0 }
  let current: StoredBlob = empty
  for await (const { name, sizeBytes, modifiedAt } of objects) {
    const blobId = names.parse(name)?.blobId
    if (blobId === undefined) continue
    if (current.blobId !== blobId) {
      if (current !== empty) yield current
      current = { ...empty, blobId }
    }
    current = {
      ...current,
      sizeBytes: current.sizeBytes + sizeBytes,
      modifiedAt: Math.max(current.modifiedAt, modifiedAt),
    }
  }
  if (current !== empty) yield current
}
