import { CannotPackage } from '../packager.ts'

/** What looking at a film may take: more than any index does. */
const MAX_OPENING_BYTES = 256 * 1024 * 1024
/** What a read counts as at least, so that a file of empty boxes is given up as well. */
const MIN_READ_BYTES = 16 * 1024
const MAX_OPENING_MS = 60_000

/** Bounds what is read of a film before it is known what is in it; a file can be made to be searched for ever. */
export class OpeningLimit {
  #leftBytes = MAX_OPENING_BYTES

  /** @throws CannotPackage when too much has been read */
  count(bytes: number): void {
    this.#leftBytes -= Math.max(bytes, MIN_READ_BYTES)
    if (this.#leftBytes < 0) throw new CannotPackage('Too much of it would have to be read to see what is in it')
  }

  get isLifted(): boolean {
    return this.#leftBytes === Infinity
  }

  /** The film is open: whatever is read now is being copied. */
  lift(): void {
    this.#leftBytes = Infinity
  }
}

/**
 * What `opening` gives, unless it takes too long or is aborted; then it is no longer waited for.
 * @param giveUp aborts `signal`
 */
export async function inTime<T>(
  opening: Promise<T>,
  signal: AbortSignal,
  giveUp: (reason: CannotPackage) => void,
): Promise<T> {
  const aborted = Promise.withResolvers<never>()
  const onAbort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(() => giveUp(new CannotPackage('It takes too long to see what is in it')), MAX_OPENING_MS)
  try {
    return await Promise.race([opening, aborted.promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
